"""Run by a Python that has pyaff4: prints the SHA-256 of the medium, and checks every digest of the container.

pyaff4 finds the block digests of the first bevy only (64 MiB): larger streams are read and not validated.
"""

from __future__ import annotations

import hashlib
import sys
import warnings

warnings.simplefilter("ignore")

from pyaff4 import block_hasher, container, rdfvalue  # noqa: E402

name = rdfvalue.URN.FromFileName(sys.argv[1])
stream = container.Container.openURNtoContainer(name).dataStream
digest = hashlib.sha256()
rest = stream.Size()
while rest:
    data = stream.Read(min(1 << 16, rest))
    digest.update(data)
    rest -= len(data)
print(digest.hexdigest())  # noqa: T201
if stream.Size() <= 64 << 20:
    block_hasher.Validator().validateContainer(name)
