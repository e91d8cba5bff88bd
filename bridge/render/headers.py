"""How the frames of stored images look: their headers, read from the objects and remembered within a number of bytes.

An object's bytes never change, so a header stays true for its data set's hash.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from bridge.errors import InvalidInstance, NotAcceptable
from bridge.extents import DataSetBytes
from bridge.frames import FrameTable
from bridge.header_syntax import syntax_of
from bridge.render.timing import TIMING
from bridge.render.wording import KEYWORDS
from bridge.rendering.header import Header, read_header
from bridge.scan import LIMIT_WARNING, Scanner
from bridge.source import BufferSource
from storage.records import InstanceRecord

_READ_AHEAD_BYTES = 4 << 20  # header and first frame come in one read up to here
_LARGE_BYTES = 1 << 20
_JSON_FACTOR = 3  # JSON of a header is longer than its bytes
_OVERHEAD_BYTES = 2000  # of one entry's objects
_ABOUT = (*KEYWORDS, *TIMING, "RepresentativeFrameNumber", "ImageType")


class Headers:
    """Headers by data set. Thread-safe."""

    def __init__(self, *, limit_bytes: int, header_limit_bytes: int, fallback_charset: str) -> None:
        self._limit = limit_bytes
        self._header_limit = header_limit_bytes
        self._fallback_charset = fallback_charset
        self._size = 0
        self._kept: OrderedDict[str, tuple[Header, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._large = threading.Lock()  # large headers take their turn: as objects they need many times their bytes

    def of(self, record: InstanceRecord, table: FrameTable, source: DataSetBytes) -> tuple[Header, DataSetBytes]:
        """The header, and the data set to go on reading from. Raises NotAcceptable when it is too long or broken."""
        with self._lock:
            if record.data_set_sha256 in self._kept:
                self._kept.move_to_end(record.data_set_sha256)
                return self._kept[record.data_set_sha256][0], source
        source = _read_ahead(source, table, self._header_limit)
        with self._large if table.offset > _LARGE_BYTES else contextlib.nullcontext():
            header = self._scanned(record, table, source)
        self._keep(record.data_set_sha256, header, header.size_bytes + _OVERHEAD_BYTES)
        return header, source

    def _scanned(self, record: InstanceRecord, table: FrameTable, source: DataSetBytes) -> Header:
        syntax = syntax_of(record.transfer_syntax_uid)
        data = b"".join(source.read(0, table.offset - (12 if syntax.explicit else 8)))
        scanner = Scanner(
            BufferSource(data),
            syntax,
            watch=frozenset(),
            nested_watch={},
            fallback_charset=self._fallback_charset,
            inline_binary_bytes=self._header_limit,
            metadata_limit_bytes=_JSON_FACTOR * self._header_limit,
        )
        try:
            scanner.run()
        except InvalidInstance as error:
            raise NotAcceptable(f"the header of the image cannot be read: {error}") from error
        if LIMIT_WARNING in scanner.warnings:
            raise NotAcceptable("the header of the image holds more than this server reads for a picture")
        return read_header(orjson.loads(scanner.json.replace(b"\0", b"")), _ABOUT)

    def _keep(self, key: str, header: Header, size: int) -> None:
        with self._lock:
            _, old = self._kept.pop(key, (header, 0))
            self._kept[key] = (header, size)
            self._size += size - old
            while self._size > self._limit:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._size -= dropped


def _read_ahead(source: DataSetBytes, table: FrameTable, header_limit_bytes: int) -> DataSetBytes:
    """Header and first frame in one read where they are small; else the header. Raises NotAcceptable."""
    if table.offset > header_limit_bytes:
        raise NotAcceptable("the header of the image is longer than this server reads for a picture")
    end = table.offset + table.length
    if table.encapsulated and table.frames:
        end = max((offset + length for offset, length in table.frames[0]), default=end)
    elif not table.encapsulated:
        end = table.offset + min(table.length, -(-table.description.frame_bits // 8))
    length = end if end <= _READ_AHEAD_BYTES else table.offset
    return _Begun(source, b"".join(source.read(0, length)), source.gap_bytes)


@dataclass(slots=True)
class _Begun:
    """A data set whose beginning is in memory."""

    source: DataSetBytes
    beginning: bytes
    gap_bytes: int

    def read(self, start: int, length: int | None) -> Iterator[bytes]:
        """See DataSetBytes."""
        if length is not None and start + length <= len(self.beginning):
            return iter((self.beginning[start : start + length],))
        return self.source.read(start, length)
