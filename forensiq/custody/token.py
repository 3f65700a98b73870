"""Ed25519 keys on PKCS#11 tokens: the key never leaves the token.

A key is named by a URI (RFC 7512): ``pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/…/module.so``. Values are
percent-encoded. The PIN is asked for like a passphrase; it may not stand in the URI, which every user could read.
"""

from __future__ import annotations

from urllib.parse import unquote

from forensiq.custody.signing import Passphrase, PublicKey
from forensiq.errors import SigningKeyError

__all__ = ["TokenKey", "is_token_uri", "open_token_key"]

_SCHEME = "pkcs11:"


class TokenKey:
    """A key on a token, with the session that is open to it until the program ends."""

    def __init__(self, session: object, private: object, public: PublicKey) -> None:
        self._session = session
        self._private = private
        self.public = public

    def sign(self, data: bytes) -> bytes:
        """Return the signature (64 bytes) of ``data``; :class:`~forensiq.errors.SigningKeyError` if the token fails."""
        import pkcs11

        try:
            signature: bytes = self._private.sign(data, mechanism=pkcs11.Mechanism.EDDSA)  # type: ignore[attr-defined]
        except pkcs11.exceptions.PKCS11Error as error:
            raise SigningKeyError(f"the token did not sign: {type(error).__name__}") from error
        return signature


def is_token_uri(text: str) -> bool:
    """Say whether ``text`` names a key on a token and not a file."""
    return text.startswith(_SCHEME)


def open_token_key(uri: str, pin: Passphrase) -> TokenKey:
    """Log in to the token that ``uri`` names and return its key.

    :class:`~forensiq.errors.SigningKeyError` if the URI is wrong, the PKCS#11 library cannot be loaded, the PIN is
    wrong, or there is no such Ed25519 key.
    """
    names = _attributes(uri)
    try:
        import pkcs11
    except ImportError as error:
        hint = "pip install 'forensiq[pkcs11]'"
        raise SigningKeyError("keys on tokens need the package python-pkcs11", hint=hint) from error
    place = f"token {names['token']!r}"
    try:
        token = pkcs11.lib(names["module-path"]).get_token(token_label=names["token"])
        session = token.open(user_pin=pin(place))
        label, kind = names["object"], pkcs11.KeyType.EC_EDWARDS
        private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label, key_type=kind)
        public = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=label, key_type=kind)
        point = public[pkcs11.Attribute.EC_POINT]
    except (pkcs11.exceptions.PKCS11Error, RuntimeError, OSError) as error:
        why = str(error) or type(error).__name__
        raise SigningKeyError(f"{place} gives no key {names['object']!r}: {why}", uri=uri) from error
    # PKCS#11 3.0 section 2.3.5: the point is an OCTET STRING of 32 bytes; some tokens give the bare bytes.
    raw = point.removeprefix(b"\x04\x20") if len(point) == 34 else point
    if len(raw) != 32:
        raise SigningKeyError(f"{place}: {names['object']!r} is no Ed25519 key", uri=uri)
    return TokenKey(session, private, PublicKey(raw, names["object"]))


def _attributes(uri: str) -> dict[str, str]:
    path, _, query = uri.removeprefix(_SCHEME).partition("?")
    names: dict[str, str] = {}
    for part in [*path.split(";"), *query.split("&")]:
        name, sign, value = part.partition("=")
        if sign:
            names[name] = unquote(value)
    missing = [name for name in ("token", "object", "module-path") if not names.get(name)]
    if missing or "pin-value" in names:
        raise SigningKeyError(
            f"{uri[:200]!r} does not name a key on a token",
            hint="pkcs11:token=LABEL;object=LABEL?module-path=/path/of/module.so, and never the PIN",
            missing=missing,
        )
    return names
