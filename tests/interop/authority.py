"""A time stamp authority (RFC 3161) of OpenSSL's, with a root of its own, on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

CONFIGURATION = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = {name}
[v3_ca]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash
[v3_tsa]
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


def openssl(*arguments: str, cwd: Path) -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True).stdout


class Authority:
    """A time stamp authority with a root of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.root = folder / "ca.pem"
        (folder / "serial").write_text("01\n")
        (folder / "c.cnf").write_text(CONFIGURATION.format(folder=folder, name=name))
        make = ("req", "-config", "c.cnf", "-newkey", "rsa:2048", "-nodes")
        openssl(*make, "-x509", "-extensions", "v3_ca", "-keyout", "ca.key", "-out", "ca.pem", "-days", "9", cwd=folder)
        openssl(*make, "-subj", f"/CN={name} stamps", "-keyout", "tsa.key", "-out", "tsa.csr", cwd=folder)
        sign = ("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9")
        openssl(*sign, "-extfile", "c.cnf", "-extensions", "v3_tsa", "-out", "tsa.pem", cwd=folder)

    def answer(self, request: bytes) -> bytes:
        (self.folder / "q.tsq").write_bytes(request)
        openssl("ts", "-reply", "-config", "c.cnf", "-queryfile", "q.tsq", "-out", "r.tsr", cwd=self.folder)
        return (self.folder / "r.tsr").read_bytes()
