"""Ranges of a data set: the right bytes, in as few reads as can be, and never silently short."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import NotAcceptable, Unavailable
from bridge.extents import Extent, ExtentReader, Inflated, Plain
from bridge.inflate import inflate
from bridge.words import swap_words, swapped

DATA = random.Random(1).randbytes(5000)
OFFSET = 300


class Object:
    """An object in a store that hands out small chunks and keeps count."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads: list[tuple[int, int | None]] = []
        self.open = 0

    def read(self, start: int, length: int | None) -> Iterator[bytes]:
        self.reads.append((start, length))
        return self._chunks(self.data[start : None if length is None else start + length])

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        self.open += 1
        try:
            for at in range(0, len(data), 97):
                yield data[at : at + 97]
        finally:
            self.open -= 1


def plain(stored: Object) -> Plain:
    return Plain(stored.read, OFFSET)


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def extents() -> st.SearchStrategy[list[list[Extent]]]:
    one = st.tuples(st.integers(0, len(DATA) - 50), st.integers(0, 50))
    return st.lists(st.lists(one, max_size=4), max_size=6)


@given(extents())
def test_groups_of_extents_are_what_slicing_gives(groups: list[list[Extent]]) -> None:
    wanted = [b"".join(DATA[start : start + length] for start, length in group) for group in groups]
    stored = Object(bytes(OFFSET) + DATA)
    assert [b"".join(chunks) for chunks in ExtentReader(plain(stored), groups)] == wanted
    packed = Object(bytes(OFFSET) + deflated(DATA))
    source = Inflated(packed.read, OFFSET, 1 << 20)
    assert [b"".join(chunks) for chunks in ExtentReader(source, groups)] == wanted


def test_neighbours_come_out_of_one_read() -> None:
    stored = Object(bytes(OFFSET) + DATA)
    groups = [[(100, 50)], [(158, 50), (216, 50)]]
    assert [b"".join(chunks) for chunks in ExtentReader(plain(stored), groups)] == [
        DATA[100:150],
        DATA[158:208] + DATA[216:266],
    ]
    assert stored.reads == [(OFFSET + 100, 166)]
    assert stored.open == 0


def test_a_part_that_nobody_reads_is_skipped() -> None:
    stored = Object(bytes(OFFSET) + DATA)
    kept, begun = [], []
    for chunks in ExtentReader(plain(stored), [[(0, 200)], [(200, 200)]]):
        kept.append(chunks)
        begun.append(next(chunks))
    assert begun[0] == DATA[:97]
    assert begun[1] + b"".join(kept[1]) == DATA[200:400]
    assert len(stored.reads) == 1


def test_closing_a_part_lets_the_store_go() -> None:
    stored = Object(bytes(OFFSET) + DATA)
    chunks = next(iter(ExtentReader(plain(stored), [[(0, 1000)]])))
    next(chunks)
    assert stored.open == 1
    chunks.close()  # type: ignore[attr-defined]  # a generator, as every stream of ours
    assert stored.open == 0


def test_a_part_outlives_the_reader_that_made_it() -> None:
    stored = Object(bytes(OFFSET) + DATA)
    chunks = next(iter(ExtentReader(plain(stored), [[(0, 1000)]])))
    assert b"".join(chunks) == DATA[:1000]


def test_a_short_object_is_an_error_and_not_a_short_answer() -> None:
    stored = Object(bytes(OFFSET) + DATA[:100])
    with pytest.raises(Unavailable, match="shorter"):
        b"".join(next(iter(ExtentReader(plain(stored), [[(50, 51)]]))))


def test_going_forward_in_a_deflated_data_set_inflates_once() -> None:
    packed = Object(deflated(DATA))
    source = Inflated(packed.read, 0, 1 << 20)
    for start in range(0, 4000, 500):
        assert b"".join(source.read(start, 10)) == DATA[start : start + 10]
    assert len(packed.reads) == 1


def test_a_stream_that_swells_is_cut_off() -> None:
    with pytest.raises(NotAcceptable, match="beyond the limit"):
        sum(map(len, inflate(iter([deflated(bytes(10 << 20))]), limit_bytes=4 << 20)))


@pytest.mark.parametrize("damaged", [deflated(DATA)[:-20], b"", b"\xff" * 40])
def test_a_broken_stream_is_an_error(damaged: bytes) -> None:
    with pytest.raises(NotAcceptable, match=r"broken|too early"):
        list(inflate(iter([damaged]), limit_bytes=1 << 20))


def test_inflated_chunks_are_bounded() -> None:
    assert max(map(len, inflate(iter([deflated(bytes(5 << 20))]), limit_bytes=8 << 20))) <= 1 << 20


@given(st.binary(max_size=300), st.sampled_from([1, 2, 4, 8]), st.integers(1, 40))
def test_words_swap_across_chunk_limits(data: bytes, width: int, size: int) -> None:
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    assert b"".join(swapped(chunks, width)) == swap_words(data, width)
    assert swap_words(swap_words(data, width), width) == data
