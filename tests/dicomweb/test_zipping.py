"""The ZIP writer, read back by the standard library."""

from __future__ import annotations

import io
import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.zipping import Member, member_size, total_size, write

BODIES = [b"", b"a", b"x" * 100_000, bytes(range(256)) * 40]


def members(*bodies: bytes, sized: bool = True) -> Iterator[Member]:
    for number, body in enumerate(bodies):
        yield Member(
            name=f"1.2/{number}.dcm", chunks=iter([body[:7], body[7:]]), size_bytes=len(body) if sized else None
        )


@pytest.mark.parametrize("sized", [True, False])
def test_members_come_back_as_they_were(sized: bool) -> None:
    with zipfile.ZipFile(io.BytesIO(b"".join(write(members(*BODIES, sized=sized))))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"1.2/{number}.dcm" for number in range(len(BODIES))]
        assert [archive.read(name) for name in archive.namelist()] == BODIES
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_the_size_is_known_beforehand(bodies: list[bytes]) -> None:
    sizes = [member_size(f"1.2/{number}.dcm", len(body)) for number, body in enumerate(bodies)]
    assert total_size(sum(sizes), len(bodies)) == len(b"".join(write(members(*bodies))))


class Pieces(io.RawIOBase):
    """A file made of pieces, most of them the same bytes: five gigabytes in one megabyte of memory."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = list(pieces)
        self._ends = list(accumulate(map(len, self._pieces)))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._ends[-1])[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        index = bisect_right(self._ends, self._position)
        if index == len(self._pieces):
            return 0
        piece = self._pieces[index][self._position - self._ends[index] :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def test_beyond_four_gigabytes_an_archive_is_zip64() -> None:
    megabyte = bytes(1 << 20)
    large = Member(name="large", chunks=repeat(megabyte, 4097), size_bytes=4097 << 20)
    unknown = Member(name="unknown", chunks=iter([b"after it"]))
    small = Member(name="small", chunks=iter([b"behind it"]), size_bytes=9)
    with zipfile.ZipFile(Pieces(write(iter([large, unknown, small])))) as archive:
        assert [info.file_size for info in archive.infolist()] == [4097 << 20, 8, 9]
        assert archive.infolist()[2].header_offset > 4096 << 20
        assert (archive.read("unknown"), archive.read("small")) == (b"after it", b"behind it")


def test_beyond_65535_members_an_archive_is_zip64() -> None:
    many = (Member(name=str(number), chunks=(b"x",), size_bytes=1) for number in range(65_537))
    with zipfile.ZipFile(io.BytesIO(b"".join(write(many)))) as archive:
        assert len(archive.namelist()) == 65_537
        assert archive.read("65536") == b"x"


def test_closing_closes_the_open_member() -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.append(True)

    archive = write([Member(name="a", chunks=chunks(), size_bytes=6)])
    next(archive)
    next(archive)
    archive.close()
    assert closed == [True]


def test_an_archive_with_zip64_has_no_plain_size() -> None:
    assert total_size(4 << 30, 1) is None
    assert total_size(1 << 20, 65_535) is None
