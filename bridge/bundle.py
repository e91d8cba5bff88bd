"""A series' metadata as one compressed object (DESIGN §3, Metadata at scale). Pure.

Layout: magic, then blocks. Each block is a 4-byte big-endian length and a zstd frame; the first block is the table of
contents, the others hold up to 64 instances' JSON objects each, joined by commas, in the order of DICOM.md Q17. So a
whole series is sent by inflating block after block, and one instance costs one block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import zstandard

from bridge.errors import Unavailable

MAGIC = b"DBMB1\n"
BLOCK_INSTANCES = 64
_LEVEL = 6
_BLOCK_LIMIT_BYTES = 1 << 31  # what one block may inflate to: bundles are our own, this only stops a damaged one


@dataclass(frozen=True, slots=True)
class Row:
    """One instance's metadata: one JSON object of PS3.18 Annex F, not compressed."""

    sop_instance_uid: str
    metadata_json: bytes


def build(rows: Sequence[Row]) -> bytes:
    """The bundle of these rows, which come in the order of DICOM.md Q17."""
    contents = [[row.sop_instance_uid, len(row.metadata_json)] for row in rows]
    blocks = [orjson.dumps(contents)]
    for start in range(0, len(rows), BLOCK_INSTANCES):
        blocks.append(b",".join(row.metadata_json for row in rows[start : start + BLOCK_INSTANCES]))
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    packed = [compressor.compress(block) for block in blocks]
    return MAGIC + b"".join(struct.pack(">I", len(block)) + block for block in packed)


class Bundle:
    """An opened bundle: the JSON of its instances by SOP Instance UID, or all of it in order."""

    def __init__(self, data: bytes) -> None:
        """Raises Unavailable when the bytes are no bundle of ours."""
        if not data.startswith(MAGIC):
            raise Unavailable("the metadata bundle of this series is damaged")
        try:
            self._blocks = list(_split(data))
            contents = orjson.loads(_inflate(self._blocks.pop(0)))
            self.sop_instance_uids: list[str] = [uid for uid, _ in contents]
        except (struct.error, IndexError, ValueError, zstandard.ZstdError) as error:
            raise Unavailable("the metadata bundle of this series is damaged") from error
        self._places = _places(contents)
        self._open: tuple[int, bytes] = (-1, b"")

    def __contains__(self, sop_instance_uid: str) -> bool:
        return sop_instance_uid in self._places

    def metadata_json(self, sop_instance_uid: str) -> bytes:
        """The JSON object of one instance; KeyError if the bundle lacks it. Cheap in the bundle's own order."""
        block, offset, length = self._places[sop_instance_uid]
        if self._open[0] != block:
            self._open = (block, _inflate(self._blocks[block]))
        return self._open[1][offset : offset + length]

    def joined(self) -> Iterator[bytes]:
        """All JSON objects in order, each yielded piece being up to 64 of them joined by commas."""
        return (_inflate(block) for block in self._blocks)


def _places(contents: Sequence[tuple[str, int]]) -> dict[str, tuple[int, int, int]]:
    places: dict[str, tuple[int, int, int]] = {}
    offset = 0
    for number, (uid, length) in enumerate(contents):
        if number % BLOCK_INSTANCES == 0:
            offset = 0
        places[uid] = (number // BLOCK_INSTANCES, offset, length)
        offset += length + 1  # the comma
    return places


def _split(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    position = len(MAGIC)
    while position < len(view):
        (length,) = struct.unpack_from(">I", view, position)
        block = view[position + 4 : position + 4 + length]
        if len(block) != length:
            raise ValueError("block cut off")
        yield block
        position += 4 + length


def _inflate(block: memoryview) -> bytes:
    return zstandard.ZstdDecompressor().decompress(block, max_output_size=_BLOCK_LIMIT_BYTES)
