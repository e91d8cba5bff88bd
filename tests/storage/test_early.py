"""An object whose bytes are written before its key is known is stored, refused and forgotten like any other."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import StorageFull
from storage.objects.base import EarlyStore, ObjectMeta
from storage.objects.local import LocalStore
from storage.objects.local.direct import DirectWriter
from storage.objects.payload import Payload, Spool

KEY = "default/1.2/1.2.3/1.2.3.4.0123456789ab.dcm"
HEADER = b"header of the file" * 3
LARGE = os.urandom(300_001)  # not whole blocks


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    """On a real disk."""
    local = LocalStore(tmp_path)
    yield local
    local.close()


def spooled(directory: Path, body: bytes = LARGE) -> Payload:
    """A payload as a door makes it."""
    spool = Spool(HEADER, directory=directory, memory_bytes=1 << 20)
    spool.write(body)
    return spool.finish()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_local_store_is_one_that_can_begin(store: LocalStore) -> None:
    assert isinstance(store, EarlyStore)


def test_an_object_begun_early_is_whole_and_carries_its_meta(store: LocalStore) -> None:
    with spooled(store.staging) as payload:
        store.begin_put(payload)
        assert payload.begun is not None
        info = store.put(KEY, payload, meta=ObjectMeta(tags={"st": "live"}))
    assert info.size_bytes == len(HEADER) + len(LARGE)
    assert b"".join(store.read(KEY)) == HEADER + LARGE
    assert store.meta(KEY).tags == {"st": "live"}


def test_one_that_is_forgotten_leaves_no_file_and_no_descriptor(store: LocalStore, tmp_path: Path) -> None:
    before = open_files()
    with spooled(store.staging) as payload:
        store.begin_put(payload)
    assert payload.begun is None
    assert open_files() == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_a_lone_object_of_some_size_is_begun(store: LocalStore) -> None:
    with spooled(store.staging, b"small") as small:
        store.begin_put(small)
        assert small.begun is None
    with spooled(store.staging) as first, spooled(store.staging) as second:
        store.begin_put(second)
        assert second.begun is None
        first.discard()
        store.begin_put(second)
        assert second.begun is not None


def test_one_whose_memory_was_kept_by_a_slow_store_is_not_waited_for(store: LocalStore) -> None:
    with spooled(store.staging) as kept:
        kept.keep()
    with spooled(store.staging) as payload:
        store.begin_put(payload)
        assert payload.begun is not None


def test_a_full_disk_is_said_by_the_put_which_can_be_repeated(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with spooled(store.staging) as payload:
        before = open_files()
        with monkeypatch.context() as patch:
            patch.setattr(DirectWriter, "write_aligned", full)
            store.begin_put(payload)
            with pytest.raises(StorageFull):
                store.put(KEY, payload, meta=ObjectMeta())
        assert open_files() == before
        store.put(KEY, payload, meta=ObjectMeta())
    assert b"".join(store.read(KEY)) == HEADER + LARGE


def test_a_directory_that_has_gone_since_the_latest_put_is_no_obstacle(store: LocalStore) -> None:
    with spooled(store.staging) as payload:
        store.put(KEY, payload, meta=ObjectMeta())
    store.delete(KEY)
    with spooled(store.staging) as payload:
        store.begin_put(payload)
        store.put(KEY, payload, meta=ObjectMeta())
    assert b"".join(store.read(KEY)) == HEADER + LARGE
