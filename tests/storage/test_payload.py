"""Spools and payloads: bytes in memory, in a file, hashed on the way."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import StorageError, StorageFull, StorageUnavailable
from storage.objects.payload import HEADER_LIMIT_BYTES, Spool, read_back
from tests.storage.stored import BODY, HEADER, payload, spooled, spooled_in_memory


@pytest.mark.parametrize("memory_bytes", [0, 5, 11, 1 << 20])
def test_what_is_written_is_what_the_payload_holds(tmp_path: Path, memory_bytes: int) -> None:
    spool = Spool(HEADER, directory=tmp_path, memory_bytes=memory_bytes)
    for chunk in (b"one", bytearray(b"two"), memoryview(b"three")):
        spool.write(chunk)
    with spool.finish() as taken:
        assert b"".join(taken.chunks()) == HEADER + b"onetwothree"
        assert taken.size_bytes == len(HEADER) + 11
        assert taken.data_set_offset == len(HEADER)
        assert taken.sha256 == hashlib.sha256(HEADER + hashlib.sha256(b"onetwothree").digest()).hexdigest()
        assert taken.object_sha256() == hashlib.sha256(HEADER + b"onetwothree").hexdigest()
        assert taken.object_crc32() == zlib.crc32(HEADER + b"onetwothree")
        assert taken.data_set_sha256 == hashlib.sha256(b"onetwothree").hexdigest()
        assert (taken.path is None) == (memory_bytes >= 11)
    assert list(tmp_path.iterdir()) == []


def test_the_callers_buffer_may_be_used_again(tmp_path: Path) -> None:
    spool, buffer = Spool(b"", directory=tmp_path, memory_bytes=100), bytearray(b"first")
    spool.write(buffer)
    buffer[:] = b"other"
    assert b"".join(spool.finish().chunks()) == b"first"


@given(st.binary(max_size=40), st.binary(max_size=60), st.integers(1, 50), st.integers(0, 120), st.integers(0, 120))
def test_a_part_of_the_chunks_is_that_part_of_the_bytes(
    header: bytes, body: bytes, chunk_bytes: int, start: int, length: int
) -> None:
    chunks = list(payload(body, header).chunks(chunk_bytes, start, length))
    assert b"".join(chunks) == (header + body)[start : start + length]
    assert all(0 < len(chunk) <= chunk_bytes for chunk in chunks)


@pytest.mark.parametrize(("start", "length"), [(0, None), (3, 10), (130, 4), (0, 0), (500, 3)])
def test_a_file_gives_the_same_parts(tmp_path: Path, start: int, length: int | None) -> None:
    with spooled(tmp_path) as taken:
        found = b"".join(taken.chunks(4, start, length))
    assert found == b"".join(payload().chunks(4, start, length))


def test_bytes_in_memory_are_not_copied() -> None:
    taken = payload()
    assert taken.body is not None
    *_, last = taken.chunks()
    assert isinstance(last, memoryview)
    assert last.obj is taken.body


def test_a_full_disk_is_storage_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = Spool(HEADER, directory=tmp_path, memory_bytes=0)
    spool.write(BODY)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFull):
        spool.write(BODY)
    spool.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_spool_directory_is_said_before_bytes_are_lost(tmp_path: Path) -> None:
    spool = Spool(HEADER, directory=tmp_path / "gone", memory_bytes=0)
    with pytest.raises(StorageFull):
        spool.write(BODY)


def test_a_temporary_file_that_has_gone_is_unavailable(tmp_path: Path) -> None:
    taken = spooled(tmp_path)
    taken.discard()
    taken.discard()  # twice does no harm
    with pytest.raises(StorageUnavailable):
        list(taken.chunks())


@pytest.mark.parametrize("chunk_bytes", [1, 7, len(HEADER), 1 << 20])
def test_an_object_read_back_has_the_hashes_it_was_stored_with(tmp_path: Path, chunk_bytes: int) -> None:
    stored = payload()
    chunks = map(bytes, stored.chunks(chunk_bytes))
    with read_back(chunks, len(HEADER), directory=tmp_path, memory_bytes=1 << 20) as again:
        assert (again.sha256, again.data_set_sha256) == (stored.sha256, stored.data_set_sha256)
        assert b"".join(again.chunks()) == HEADER + BODY


@pytest.mark.parametrize("place", [0, len(HEADER) - 1, len(HEADER), -1])
def test_a_changed_byte_anywhere_changes_the_hash_of_the_object(tmp_path: Path, place: int) -> None:
    changed = bytearray(HEADER + BODY)
    changed[place] ^= 1
    with read_back([bytes(changed)], len(HEADER), directory=tmp_path, memory_bytes=1 << 20) as again:
        assert again.sha256 != payload().sha256


@pytest.mark.parametrize("kept", [0, len(HEADER) - 1])
def test_an_object_shorter_than_its_header_is_read_back_as_something_else(tmp_path: Path, kept: int) -> None:
    with read_back([HEADER[:kept]], len(HEADER), directory=tmp_path, memory_bytes=1 << 20) as again:
        assert (again.size_bytes, again.sha256 == payload().sha256) == (kept, False)


@pytest.mark.parametrize("header_bytes", [-1, HEADER_LIMIT_BYTES + 1])
def test_a_header_of_absurd_length_is_refused_before_anything_is_read(tmp_path: Path, header_bytes: int) -> None:
    with pytest.raises(StorageError):
        read_back(iter([BODY]), header_bytes, directory=tmp_path, memory_bytes=1 << 20)


def test_a_read_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield HEADER + BODY
        raise StorageUnavailable("gone")

    with pytest.raises(StorageUnavailable):
        read_back(broken(), len(HEADER), directory=tmp_path, memory_bytes=0)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_used_again_once_the_payload_is_dropped_and_not_before(tmp_path: Path) -> None:
    first = spooled_in_memory(tmp_path, BODY)
    second = spooled_in_memory(tmp_path, BODY[::-1])
    assert b"".join(first.chunks()) == HEADER + BODY
    buffer = second._buffer
    second.discard()
    with pytest.raises(StorageUnavailable):
        list(second.chunks())
    third = spooled_in_memory(tmp_path, b"third")
    assert third._buffer is buffer
    assert b"".join(third.chunks()) == HEADER + b"third"
    assert b"".join(first.chunks()) == HEADER + BODY


def test_memory_that_is_kept_is_not_used_again(tmp_path: Path) -> None:
    kept = spooled_in_memory(tmp_path, BODY)
    kept.keep()
    kept.discard()
    spooled_in_memory(tmp_path, b"another")
    assert b"".join(kept.chunks()) == HEADER + BODY


def test_any_part_of_an_object_in_memory_can_be_read(tmp_path: Path) -> None:
    whole, taken = HEADER + BODY, spooled_in_memory(tmp_path, BODY)
    for start in (0, 1, len(HEADER) - 1, len(HEADER), len(HEADER) + 1, len(whole)):
        for length in (0, 1, len(HEADER), len(whole), None):
            end = None if length is None else start + length
            assert b"".join(taken.chunks(7, start, length)) == whole[start:end]


def test_an_object_in_memory_lies_in_one_piece_from_a_page_on(tmp_path: Path) -> None:
    taken = spooled_in_memory(tmp_path, BODY)
    assert taken.aligned == HEADER + BODY
    assert np.frombuffer(taken.aligned, np.uint8).ctypes.data % mmap.PAGESIZE == 0


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_nothing_at_all_is_an_object_too(tmp_path: Path, memory_bytes: int) -> None:
    spool = Spool(b"", directory=tmp_path, memory_bytes=memory_bytes)
    spool.write(b"")
    with spool.finish() as taken:
        assert (taken.size_bytes, b"".join(taken.chunks())) == (0, b"")
