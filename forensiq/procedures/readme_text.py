"""The README that goes into a sealed case: for somebody who has neither forensiq nor us."""

from __future__ import annotations

__all__ = ["readme_text"]

_TEXT = """\
HOW TO CHECK THIS CASE WITHOUT FORENSIQ

You need Python 3.8 or newer and OpenSSL 3 (the program "openssl"). Nothing is installed or changed.

1. All at once, in this folder (take verify_seal.py from somewhere you trust if you can: whoever could change
   this case could change the program in it too):

       python3 -I verify_seal.py . --code THE-SEAL-CODE-ON-YOUR-PAPER

   It ends with INTACT or NOT INTACT, and names what was changed.

2. By hand, in the folder seals/NNNN (NNNN: the newest number):

       openssl pkeyutl -verify -pubin -inkey signer.pem -rawin -in manifest.json -sigfile manifest.sig

   says "Signature Verified Successfully". manifest.json lists every file with its size, MD5 and SHA-256; compare
   them with "sha256sum FILE". The seal code is the beginning of the SHA-256 of manifest.json, in base32:

       openssl dgst -sha256 -binary manifest.json | head -c 20 | base32

   Countersignatures are checked the same way: countersign-01.json, .sig and .pem.

3. A time stamp (manifest.sig.tsr, RFC 3161), with the root certificates of its authority:

       openssl ts -verify -data manifest.sig -in manifest.sig.tsr -CAfile ROOTS.pem

WHAT IT SHOWS, AND WHAT NOT

A signature that holds shows that nothing was changed since it was made. It does not show who made it: the key came
with the case. Compare the fingerprint of the key, or the seal code, with what you were given another way: on paper,
by telephone, from the person. The fingerprint is

       openssl pkey -pubin -in signer.pem -outform DER | sha256sum

A time stamp shows that the signature existed at that time, if you trust the authority.

ledger.jsonl is the chain of custody: one line for each event, in order. Each line holds the SHA-256 of the line before
it ("previous") and is signed by the key in it ("key", "signature"). Lines written after the seal are not under the
seal; each is signed, but lines cut off at the end show only against a head that was written down elsewhere.
"""


def readme_text() -> str:
    """Return the text of ``README.txt``."""
    return _TEXT
