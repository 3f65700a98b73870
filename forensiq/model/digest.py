"""Hash algorithms and digests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from forensiq.errors import UnknownHashError

__all__ = ["DEFAULT_ALGORITHMS", "DigestSet", "HashAlgorithm", "algorithm_name"]

_SPELLED = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512", "blake3": "BLAKE3"}


class HashAlgorithm(Enum):
    """The algorithms that an image may be digested with; the value is the name in options and JSON."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"
    BLAKE3 = "blake3"

    @property
    def spelled(self) -> str:
        """The name as standards write it: ``SHA-256``."""
        return _SPELLED[self.value]

    @property
    def digest_size(self) -> int:
        """Length of the digest in bytes."""
        return {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "blake3": 32}[self.value]

    @classmethod
    def parse(cls, name: str) -> HashAlgorithm:
        """Return the algorithm called ``name`` (case and ``-`` do not matter); :class:`UnknownHashError` else."""
        try:
            return cls(name.lower().replace("-", ""))
        except ValueError:
            known = [algorithm.value for algorithm in cls]
            raise UnknownHashError(
                f"unknown hash algorithm {name!r}", hint=f"known are {', '.join(known)}", name=name, known=known
            ) from None


def algorithm_name(name: str) -> str:
    """Return the name in options and JSON as standards write it; one that is unknown as it is."""
    return _SPELLED.get(name, name)


DEFAULT_ALGORITHMS = (HashAlgorithm.MD5, HashAlgorithm.SHA256)


class DigestSet(Mapping[HashAlgorithm, str]):
    """Digests of the same bytes, one for each algorithm, as lower-case hexadecimal text; never changed once made."""

    __slots__ = ("_values",)

    def __init__(self, values: tuple[tuple[HashAlgorithm, str], ...] = ()) -> None:
        self._values = values

    @classmethod
    def of(cls, digests: Mapping[HashAlgorithm, str]) -> DigestSet:
        """Return a set from a mapping; a digest of the wrong length or alphabet is a ``ValueError``."""
        ordered = sorted(digests.items(), key=lambda item: list(HashAlgorithm).index(item[0]))
        for algorithm, text in ordered:
            if len(text) != 2 * algorithm.digest_size or set(text) - set("0123456789abcdef"):
                raise ValueError(f"not a {algorithm.value} digest: {text!r}")
        return cls(tuple(ordered))

    @classmethod
    def from_json(cls, digests: Mapping[str, str]) -> DigestSet:
        """Return the set that :meth:`to_json` wrote."""
        return cls.of({HashAlgorithm.parse(name): text for name, text in digests.items()})

    def to_json(self) -> dict[str, str]:
        """Return ``{"md5": "…", …}``."""
        return {algorithm.value: text for algorithm, text in self._values}

    def __getitem__(self, algorithm: HashAlgorithm) -> str:
        for known, text in self._values:
            if known is algorithm:
                return text
        raise KeyError(algorithm)

    def __iter__(self) -> Iterator[HashAlgorithm]:
        return (algorithm for algorithm, _ in self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"DigestSet({self.to_json()})"
