"""Spools and payloads: bytes in memory, in a file, hashed on the way."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import StorageFull, StorageUnavailable
from storage.objects.payload import Spool
from tests.storage.stored import BODY, HEADER, payload, spooled


@pytest.mark.parametrize("memory_bytes", [0, 5, 11, 1 << 20])
def test_what_is_written_is_what_the_payload_holds(tmp_path: Path, memory_bytes: int) -> None:
    spool = Spool(HEADER, directory=tmp_path, memory_bytes=memory_bytes)
    for chunk in (b"one", bytearray(b"two"), memoryview(b"three")):
        spool.write(chunk)
    with spool.finish() as taken:
        assert b"".join(taken.chunks()) == HEADER + b"onetwothree"
        assert taken.size_bytes == len(HEADER) + 11
        assert taken.data_set_offset == len(HEADER)
        assert taken.sha256 == hashlib.sha256(HEADER + b"onetwothree").hexdigest()
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
