"""Writes the medium as it is, from the first byte of the file on: the base of fixed VHD, raw DMG and ISO."""

from __future__ import annotations

from forensiq.images.container_blocks import BlockEncoder, EncodedBlocks
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.output import FileCalls
from forensiq.model.image import ClosingFacts

__all__ = ["FlatWriter", "IsoWriter"]

_UNIT = 64 << 10


class FlatWriter(ContainerWriter):
    """Holes where 64 KiB of the medium are zero."""

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        super().__init__(config, BlockEncoder(_UNIT), calls=calls)

    def _start(self) -> None:
        """The medium begins at byte 0."""

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        for index, block in enumerate(encoded.blocks):
            if block is not None:
                parts.append(block)
                continue
            self.file.append(parts)
            parts = []
            self.file.skip(min(_UNIT, encoded.length - index * _UNIT))
        self.file.append(parts)

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        self.file.truncate(self.file.end)


class IsoWriter(FlatWriter):
    """The sectors of an optical medium under the name that other programs know them by."""

    format = "iso"
