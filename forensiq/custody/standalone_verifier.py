#!/usr/bin/env python3
"""Check a sealed forensiq case without forensiq: Python's standard library and the openssl program, nothing else.

    python3 -I verify_seal.py [CASE_FOLDER] [--seal NUMBER] [--code SEAL-CODE] [--ca TSA-ROOTS.pem]

Checks: the manifest's signature; every file it lists; the ledger's chain, its sealed part, and the signature of each
line written since; files that the ledger binds since, and that no line gives another digest to what was written once
and for all; countersignatures; with --ca, the time stamp. Keys that signed since the seal are listed. Exit code 0 if
all holds, 5 if not, 2 for wrong use. Whoever could change the case could change this program too: take it from
somewhere you trust, or compare its digest.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

__all__ = ["main"]

_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: Ed25519, then 32 bytes
_ONCE = ("attachments/", "transfers/", "seals/", "set-aside/")  # nothing there is ever written anew
_problems: list[str] = []


def _problem(text: str) -> None:
    _problems.append(text)
    print("FAILED  " + ascii(text)[1:-1])


def _canonical(value: Any) -> bytes:
    return json.dumps(_order(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _order(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
    return [_order(each) for each in value] if isinstance(value, list) else value


def _strict(data: bytes) -> Any:
    """Decode canonical JSON; ValueError for any other bytes."""
    value = json.loads(data.decode("utf-8"))
    if _canonical(value) != data:
        raise ValueError("not canonical JSON")
    return value


def _pem(public_key: str) -> str:
    body = base64.b64encode(_SPKI + bytes.fromhex(public_key)).decode()
    return "-----BEGIN PUBLIC KEY-----\n" + body + "\n-----END PUBLIC KEY-----\n"


def _signature_holds(public_key: str, signature: bytes, data: bytes) -> bool:
    """Let openssl check an Ed25519 signature."""
    with tempfile.TemporaryDirectory() as folder:
        names = {"key": _pem(public_key).encode(), "sig": signature, "data": data}
        for name, content in names.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        command = [
            "openssl",
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "key",
            "-rawin",
            "-in",
            "data",
            "-sigfile",
            "sig",
        ]
        return subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _read(path: str, limit: int = 1 << 28) -> bytes:
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError("larger than " + str(limit) + " bytes")
    return data


def _place_of(root: str, path: str) -> str:
    """Where a listed path lies; ValueError if it leads out of the case or through a link."""
    name = os.fsdecode(bytes.fromhex(path[5:])) if path.startswith("/hex/") else path
    place = root
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise ValueError("leads out of the case")
        place = os.path.join(place, part)
        if os.path.islink(place):
            raise ValueError("leads through a link")
    if not os.path.isfile(place):
        raise ValueError("is missing")
    return place


def _md5() -> Any:
    try:
        return hashlib.new("md5", usedforsecurity=False)  # else refused where only FIPS algorithms are allowed
    except TypeError:
        return hashlib.new("md5")  # Python 3.8


def _check_file(root: str, path: str, sha256: str, size: int | None = None, md5: str | None = None) -> None:
    try:
        place, total = _place_of(root, path), 0
        digests = [hashlib.sha256(), _md5()]
        with open(place, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                total += len(piece)
                for digest in digests:
                    digest.update(piece)
    except (OSError, ValueError) as error:
        _problem("file " + path + " " + str(error))
        return
    if digests[0].hexdigest() != sha256 or size not in (None, total) or md5 not in (None, digests[1].hexdigest()):
        _problem("file " + path + " was changed")


def _check_ledger(root: str, sealed: Any) -> tuple[dict[str, tuple[str, int]], dict[str, list[int]]]:
    """Check chain and sealed part; check the signature of later lines.

    Return the files that the ledger binds, and the lines behind the seal by the key that signed them.
    """
    bound: dict[str, tuple[str, int]] = {}
    since: dict[str, list[int]] = {}
    previous, digest, offset, number = "0" * 64, hashlib.sha256(), 0, 0
    with open(os.path.join(root, "ledger.jsonl"), "rb") as file:
        for line in iter(lambda: file.readline(1 << 24), b""):
            number += 1
            where = "ledger line " + str(number)
            inside = offset < sealed["bytes"]
            digest.update(line if inside else b"")
            offset += len(line)
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("is cut short or too long")
                entry = _strict(line[:-1])
                if entry["seq"] != number or entry["previous"] != previous:
                    _problem(where + " does not follow the line before it")
                if not inside:
                    signed = {name: entry[name] for name in entry if name != "signature"}
                    if not _signature_holds(entry["key"], bytes.fromhex(entry["signature"]), _canonical(signed)):
                        _problem(where + " was changed after it was signed")
                    since.setdefault(entry["key"], []).append(number)
                for path, sha256 in entry["digests"].items():
                    if path.startswith(_ONCE) and bound.get(path, (sha256, 0))[0] != sha256:
                        _problem(where + " gives " + path + " another digest than line " + str(bound[path][1]))
                bound.update({path: (sha256, number) for path, sha256 in entry["digests"].items()})
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                _problem(where + " is no entry: " + str(error))
            previous = hashlib.sha256(line[:-1]).hexdigest()
            if number == sealed["seq"] and previous != sealed["last_hash"]:
                _problem("the ledger's head is not the sealed one")
    if offset < sealed["bytes"] or digest.hexdigest() != sealed["sha256"]:
        _problem("the ledger does not begin with what was sealed")
    return bound, since


def _check_manifest(root: str, folder: str, manifest: Any, data: bytes) -> bytes:
    signature, key = _read(os.path.join(folder, "manifest.sig")), manifest["signer"]["public_key"]
    if _read(os.path.join(folder, "signer.pem")) != _pem(key).encode() or not _signature_holds(key, signature, data):
        _problem("the manifest's signature does not hold")
    bound, since = _check_ledger(root, manifest["ledger"])
    for other in sorted(since):
        lines = ", ".join(map(str, since[other][:5])) + (" ..." if len(since[other]) > 5 else "")
        whose = "the key of the seal" if other == key else "ANOTHER KEY than the seal's"
        print("note    ledger line " + lines + " behind the seal signed with " + whose + ": " + _fingerprint(other))
    listed = set()
    for each in manifest["files"]:
        listed.add(each["path"])
        later = bound.get(each["path"], ("", 0))
        if later[1] > manifest["ledger"]["seq"] and not each["path"].startswith("evidence/"):
            said = " was changed after the seal, ledger line " + str(later[1]) + " says"
            print("note    " + ascii(each["path"])[1:-1] + said)
        else:
            _check_file(root, each["path"], each["sha256"], each["size"], each["md5"])
    for path, (sha256, number) in bound.items():
        if number > manifest["ledger"]["seq"]:
            _check_file(root, path, sha256)
    for base, folders, names in os.walk(root, onerror=lambda error: _problem("cannot be listed: " + str(error))):
        for name in names + [each for each in folders if os.path.islink(os.path.join(base, each))]:
            path = os.path.relpath(os.path.join(base, name), root).replace(os.sep, "/")
            if os.path.islink(os.path.join(base, name)):
                _problem("a link: " + path)
            try:
                path.encode()
            except UnicodeEncodeError:
                path = "/hex/" + os.fsencode(path).hex()
            if path not in listed and path not in bound and path != "ledger.jsonl":
                _problem("file " + path + " is neither under the seal nor in the ledger")
    return signature


def _check_countersignatures(folder: str, data: bytes, signature: bytes) -> None:
    for name in sorted(os.listdir(folder)):
        if name.startswith("countersign-") and name.endswith(".json"):
            statement = _read(os.path.join(folder, name), 1 << 20)
            said, stem = _strict(statement), os.path.join(folder, name[:-5])
            same = said["manifest_sha256"] == hashlib.sha256(data).hexdigest()
            same = same and said["signature_sha256"] == hashlib.sha256(signature).hexdigest()
            same = same and _read(stem + ".pem") == _pem(said["public_key"]).encode()
            if same and _signature_holds(said["public_key"], _read(stem + ".sig"), statement):
                who = said["name"] + " (" + said["role"] + ")"
                print("ok      countersigned: " + ascii(who)[1:-1] + " " + _fingerprint(said["public_key"]))
            else:
                _problem(name + " does not hold")


def _check_timestamp(folder: str, roots: str) -> None:
    if os.path.exists(os.path.join(folder, "manifest.sig.tsr")):
        command = ["openssl", "ts", "-verify", "-data", "manifest.sig", "-in", "manifest.sig.tsr", "-CAfile", roots]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        if done == 0:
            print("ok      time stamp")
        else:
            _problem("the time stamp does not verify")


def _fingerprint(public_key: str) -> str:
    return hashlib.sha256(_SPKI + bytes.fromhex(public_key)).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a sealed case.")
    parser.add_argument("case", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--seal", help="number of the seal; else the newest")
    parser.add_argument("--code", help="the seal code on your paper")
    parser.add_argument("--ca", help="root certificates of the time stamp authority, PEM")
    given = parser.parse_args()
    try:
        seals = os.path.join(given.case, "seals")
        folder = os.path.join(seals, given.seal or max(os.listdir(seals)))
        data = _read(os.path.join(folder, "manifest.json"))
        manifest = _strict(data)
        text = base64.b32encode(hashlib.sha256(data).digest()[:20]).decode()
        code = (given.code or "").upper().replace("0", "O").replace("1", "I").replace("8", "B")
        if given.code and "".join(filter(str.isalnum, code)) != text:
            _problem("the seal code is not the one you gave")
        _check_countersignatures(folder, data, _check_manifest(given.case, folder, manifest, data))
        if given.ca:
            _check_timestamp(folder, os.path.abspath(given.ca))
        print("seal code    " + "-".join(text[at : at + 4] for at in range(0, 32, 4)))
        print("signed with  " + _fingerprint(manifest["signer"]["public_key"]))
        print("             compare both with what you have on paper: a key in a case does not say whose it is")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _problem("the seal cannot be read: " + str(error))
    print("NOT INTACT" if _problems else "INTACT")
    return 5 if _problems else 0


if __name__ == "__main__":
    sys.exit(main())
