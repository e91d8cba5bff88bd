"""Writing past the page cache: the same bytes, whatever the file system thinks of it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from storage.objects.base import ObjectMeta
from storage.objects.local import LocalStore
from storage.objects.local.direct import BLOCK_BYTES, BUFFER_BYTES, DirectWriter
from tests.storage.stored import HEADER, content, new_key, pattern, payload, spooled_in_memory

SIZES = [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, BUFFER_BYTES - 1, BUFFER_BYTES, 2 * BUFFER_BYTES + BLOCK_BYTES + 7]


def written(writer: DirectWriter, path: Path, *chunks: bytes) -> bytes:
    """What the file holds after `chunks` were written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        writer.write(descriptor, chunks)
    finally:
        os.close(descriptor)
    return path.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_what_the_file_holds(tmp_path: Path, size: int) -> None:
    assert written(DirectWriter(), tmp_path / "file", HEADER, pattern(size)) == HEADER + pattern(size)


def test_a_buffer_is_used_again_without_a_trace(tmp_path: Path) -> None:
    writer = DirectWriter()
    written(writer, tmp_path / "long", pattern(3 * BLOCK_BYTES))
    assert written(writer, tmp_path / "short", b"short") == b"short"


def test_a_file_system_that_refuses_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(descriptor: int, command: int, flags: int) -> int:
        asked.append(flags)
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return 0

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    writer = DirectWriter()
    for name in ("first", "second"):
        assert written(writer, tmp_path / name, pattern(3 * BUFFER_BYTES)) == pattern(3 * BUFFER_BYTES)
    assert not writer.is_usable
    assert asked.count(os.O_DIRECT) == 1


@pytest.mark.parametrize("limit", [BLOCK_BYTES, BLOCK_BYTES // 2])
def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    really_write, first = os.write, [limit]

    def short(descriptor: int, view: memoryview) -> int:
        return really_write(descriptor, view[: first.pop()] if first else view)

    monkeypatch.setattr(fcntl, "fcntl", lambda *_: 0)  # half a block could not be written directly
    monkeypatch.setattr(os, "write", short)
    body = pattern(2 * BUFFER_BYTES + 5)
    assert written(DirectWriter(), tmp_path / "file", body) == body


def test_any_other_error_is_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        written(DirectWriter(), tmp_path / "file", pattern(BUFFER_BYTES))


@pytest.mark.parametrize(
    ("direct_writes", "size", "expected"), [(True, 1 << 20, 1), (True, 1 << 10, 0), (False, 1 << 20, 0)]
)
def test_the_local_store_writes_directly_what_is_large_and_when_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct_writes: bool, size: int, expected: int
) -> None:
    used: list[int] = []
    really_write = DirectWriter.write

    def watched(self: DirectWriter, descriptor: int, chunks: Any) -> None:
        used.append(descriptor)
        really_write(self, descriptor, chunks)

    monkeypatch.setattr(DirectWriter, "write", watched)
    store, key = LocalStore(tmp_path / "store", direct_writes=direct_writes), new_key()
    store.put(key, payload(pattern(size)), meta=ObjectMeta())
    assert content(store, key) == HEADER + pattern(size)
    assert len(used) == expected


def test_an_object_that_was_received_in_memory_is_written_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectWriter, "write", None)  # which would copy it
    store, key, body = LocalStore(tmp_path / "store"), new_key(), pattern(100_001)
    with spooled_in_memory(tmp_path, body) as taken:
        store.put(key, taken, meta=ObjectMeta())
    assert content(store, key) == HEADER + body
