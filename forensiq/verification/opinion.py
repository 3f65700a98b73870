"""The second opinion: the same medium through libewf, another program's reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from forensiq.errors import ForensiqError
from forensiq.images.ewf.libewf import LibewfImage
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.streams.progress import Progress
from forensiq.verification.content import check_content

__all__ = ["second_opinion"]


def second_opinion(
    paths: Sequence[Path], computed: DigestSet, size: int, *, progress: Progress | None = None
) -> Mapping[str, str]:
    """Read the segments ``paths`` through libewf and compare with ``computed``, the digests that we took.

    The result is for people and JSON: ``reader``, ``agrees`` (``yes``, ``no``, ``could not read``), the digest, and
    what it reported. libewf gives damaged chunks as zeros: where our reader found damage, a difference is expected.
    """
    algorithm = next((each for each in (HashAlgorithm.SHA256, HashAlgorithm.MD5) if each in computed), None)
    if algorithm is None:
        algorithm = HashAlgorithm.MD5
    try:
        with LibewfImage(paths, image_format="e01") as image:
            answer = {"reader": image.library_version, "size": str(image.size)}
            result = check_content(image, [algorithm], progress=progress)
    except ForensiqError as error:
        return {"reader": "libewf", "agrees": "could not read", "reported": str(error)}
    digest = result.digests[algorithm]
    answer[algorithm.value] = digest
    if result.damage:
        answer["reported"] = f"{result.damaged_bytes} bytes could not be read"
    if algorithm in computed:
        answer["agrees"] = "yes" if digest == computed[algorithm] and image.size == size else "no"
    else:
        answer["agrees"] = "not compared: we computed no digest"
    return answer
