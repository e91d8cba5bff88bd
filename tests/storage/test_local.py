"""Local files: what a power cut, a full disk or an old file system does to them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.errors import (
    InvalidKey,
    InvalidMeta,
    ObjectExists,
    ObjectHeld,
    ObjectNotFound,
    StorageFull,
    StorageUnavailable,
)
from storage.objects.base import ObjectMeta
from storage.objects.local import LocalStore, attribute, reading
from storage.objects.local import store as local_store
from storage.objects.meta import check_meta
from tests.storage.stored import (
    BODY,
    HEADER,
    Clock,
    content,
    is_absent,
    keys_of,
    new_key,
    pattern,
    payload,
    spooled,
)

NOTHING = ObjectMeta()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> LocalStore:
    return LocalStore(tmp_path / "store", now=clock)


def file_of(store: LocalStore, key: str) -> Path:
    return store.staging.parent / "objects" / key


def failing(number: int) -> Callable[..., Any]:
    """A system call that answers with this error."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def spy_on_fsync(monkeypatch: pytest.MonkeyPatch, seen: list[str], key: str = "") -> None:
    """Note what each fsync reaches: "file" or "directory", and whether the object had its name by then."""
    fsync = os.fsync

    def note(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        named = kind == "file" and os.fstat(descriptor).st_nlink > 0
        seen.append(f"named {kind}" if named else kind)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)


@pytest.mark.parametrize("file_system", ["ext4", "xfs"])
def test_an_ordered_journal_needs_one_fsync_after_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_system: str
) -> None:
    monkeypatch.setattr(local_store, "file_system", lambda _: file_system)
    store, seen = LocalStore(tmp_path), list[str]()
    spy_on_fsync(monkeypatch, seen)
    store.put(new_key(), payload(), meta=NOTHING)
    assert seen == ["named file"]


def test_any_other_file_system_gets_every_directory_fsynced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_store, "file_system", lambda _: "btrfs")
    store, seen = LocalStore(tmp_path), list[str]()
    spy_on_fsync(monkeypatch, seen)
    store.put("site/study/series/object", payload(), meta=NOTHING)
    assert seen == ["named file", "directory", "directory", "directory", "directory"]


@pytest.mark.parametrize("in_file", [False, True])
def test_after_a_failed_fsync_nothing_has_the_key_and_the_payload_is_still_there(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, in_file: bool
) -> None:
    key = new_key()
    with spooled(store.staging) if in_file else payload() as taken:
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", failing(errno.EIO))
            with pytest.raises(StorageUnavailable):
                store.put(key, taken, meta=NOTHING)
        assert is_absent(store, key)
        store.put(new_key(), taken, meta=NOTHING)
    assert list(store.staging.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_storage_full_and_leaves_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    key = new_key()
    with monkeypatch.context() as full:
        full.setattr(os, "writev", failing(number))
        with pytest.raises(StorageFull):
            store.put(key, payload(), meta=NOTHING)
    assert is_absent(store, key)
    assert list(store.staging.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EACCES])
def test_any_other_refusal_is_storage_unavailable_without_a_path(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "writev", failing(number))
    with pytest.raises(StorageUnavailable) as refusal:
        store.put(new_key(), payload(), meta=NOTHING)
    assert str(store.staging.parent) not in str(refusal.value)


def test_a_spool_in_staging_becomes_the_object_without_a_copy(store: LocalStore) -> None:
    key = new_key()
    with spooled(store.staging) as taken:
        assert taken.path is not None
        inode = taken.path.stat().st_ino
        store.put(key, taken, meta=NOTHING)
        assert not taken.path.exists()
    assert file_of(store, key).stat().st_ino == inode
    assert file_of(store, key).stat().st_nlink == 1


def test_a_spool_on_another_file_system_is_copied(store: LocalStore) -> None:
    store._filling._device = -1  # no file is on that device
    key, body = new_key(), pattern(3 << 20)
    with spooled(store.staging, body) as taken:
        store.put(key, taken, meta=NOTHING)
        assert taken.path is not None
        assert taken.path.exists()
    assert content(store, key) == HEADER + body


def test_a_refused_put_keeps_the_spool(store: LocalStore) -> None:
    key = new_key()
    store.put(key, payload(), meta=NOTHING)
    with spooled(store.staging) as taken:
        with pytest.raises(ObjectExists):
            store.put(key, taken, meta=NOTHING)
        assert taken.path is not None
        assert taken.path.exists()


def test_without_unnamed_files_staging_is_used_and_left_clean(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def refuse_unnamed(path: str | Path, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return really_open(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse_unnamed)
    keys = [new_key(), new_key("other/1/2")]
    for key in keys:
        store.put(key, payload(), meta=NOTHING)
        assert content(store, key) == HEADER + BODY
    assert list(store.staging.iterdir()) == []


@pytest.mark.parametrize("limit", [1, len(HEADER) - 1, len(HEADER), len(HEADER) + 3])
def test_a_short_write_is_continued(store: LocalStore, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    def short(descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
        return os.write(descriptor, b"".join(bytes(buffer) for buffer in buffers)[:limit])

    monkeypatch.setattr(os, "writev", short)
    key = new_key()
    store.put(key, payload(), meta=NOTHING)
    assert content(store, key) == HEADER + BODY


def test_an_object_torn_by_a_power_cut_counts_as_absent_until_it_is_swept(store: LocalStore, clock: Clock) -> None:
    torn, whole = new_key(), new_key("whole/1/2")
    for key in (torn, whole):
        store.put(key, payload(), meta=NOTHING)
    os.truncate(file_of(store, torn), 5)
    assert keys_of(store.list()) == [whole]
    for ask in (store.stat, store.meta):
        with pytest.raises(ObjectNotFound):
            ask(torn)
    touch(file_of(store, torn), clock)
    assert store.sweep_unfinished(timedelta(hours=1)) == 0
    clock.forward(hours=2)
    assert store.sweep_unfinished(timedelta(hours=1)) == 1
    assert not file_of(store, torn).exists()
    assert keys_of(store.list()) == [whole]


def test_left_over_spools_are_swept_once_they_are_old(store: LocalStore, clock: Clock) -> None:
    left, fresh = spooled(store.staging), spooled(store.staging)
    assert left.path is not None
    assert fresh.path is not None
    touch(left.path, clock)
    clock.forward(hours=2)
    touch(fresh.path, clock)
    assert store.sweep_unfinished(timedelta(hours=1)) == 1
    assert list(store.staging.iterdir()) == [fresh.path]


def touch(path: Path, clock: Clock) -> None:
    at = clock().timestamp()
    os.utime(path, (at, at))


def test_a_lock_ends_when_its_time_has_come(store: LocalStore, clock: Clock) -> None:
    key = new_key()
    store.put(key, payload(), meta=ObjectMeta(retain_until=clock() + timedelta(days=1)))
    with pytest.raises(ObjectHeld):
        store.delete(key)
    clock.forward(days=1)
    store.delete(key)
    assert is_absent(store, key)


def test_a_delete_takes_empty_directories_along_and_no_others(store: LocalStore) -> None:
    store.put("site/study/one/object", payload(), meta=NOTHING)
    store.put("site/study/two/object", payload(), meta=NOTHING)
    store.delete("site/study/one/object")
    assert [path.name for path in file_of(store, "site/study").iterdir()] == ["two"]
    store.delete("site/study/two/object")
    assert list(file_of(store, "").iterdir()) == []


def test_a_key_below_another_object_is_refused(store: LocalStore) -> None:
    store.put("site/object", payload(), meta=NOTHING)
    for in_file in (False, True):
        with spooled(store.staging) if in_file else payload() as taken, pytest.raises(InvalidKey):
            store.put("site/object/below", taken, meta=NOTHING)


def test_an_object_is_nobody_elses_to_read(store: LocalStore) -> None:
    key = new_key()
    store.put(key, payload(), meta=NOTHING)
    assert stat.S_IMODE(file_of(store, key).stat().st_mode) == 0o600


def test_a_file_restored_without_its_attribute_is_still_an_object(store: LocalStore) -> None:
    path = file_of(store, "site/restored")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"restored")
    assert keys_of(store.list()) == ["site/restored"]
    assert store.meta("site/restored") == NOTHING


def test_a_reopened_store_knows_its_objects(store: LocalStore) -> None:
    key, meta = new_key(), ObjectMeta(tags={"a": "1"}, user={"b": "2"}, legal_hold=True)
    store.put(key, payload(), meta=meta)
    again = LocalStore(store.staging.parent)
    assert again.meta(key) == meta
    assert content(again, key) == HEADER + BODY


def test_the_largest_meta_fits_an_attribute(clock: Clock) -> None:
    user = {f"n{number:02}": '"' * 139 for number in range(10)}  # each takes two bytes of JSON
    meta = ObjectMeta(
        tags={f"{number}" + "n" * 34: "v" * 42 for number in range(10)},
        user=user,
        retain_until=clock() + timedelta(days=1),
        legal_hold=True,
    )
    assert check_meta(meta, clock()) is meta
    with pytest.raises(InvalidMeta):
        check_meta(replace(meta, user={**user, "more": ""}), clock())
    packed = attribute.pack(meta, 1 << 60)
    assert len(packed) <= 3900
    assert attribute.unpack(packed) == (meta, 1 << 60)


def test_a_file_system_with_room_for_small_attributes_only_gets_sidecars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setxattr = os.setxattr

    def small_only(target: int, name: str, value: bytes) -> None:
        if len(value) > 500:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        setxattr(target, name, value)

    monkeypatch.setattr(os, "setxattr", small_only)
    store, key, meta = LocalStore(tmp_path), new_key(), ObjectMeta(user={"name": "v" * 1000})
    store.put(key, payload(), meta=meta)
    assert store.meta(key) == meta


def test_free_bytes_are_those_of_the_file_system(store: LocalStore) -> None:
    found = os.statvfs(store.staging)
    assert abs(store.free_bytes() - found.f_bavail * found.f_frsize) < 1 << 30


@pytest.mark.parametrize(("in_memory", "asked_for"), [(False, 2), (True, 0)])
def test_objects_that_will_be_needed_are_asked_for_unless_the_first_is_in_memory(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, in_memory: bool, asked_for: int
) -> None:
    keys = [new_key(), new_key()]
    for key in keys:
        store.put(key, payload(), meta=NOTHING)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(reading, "is_in_memory", lambda _: in_memory)
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *range_and_advice: asked.append(range_and_advice))
    store.will_need([*keys, new_key()])  # one of them is not there
    assert asked == [(0, 0, os.POSIX_FADV_WILLNEED)] * asked_for
    assert [content(store, key) for key in keys] == [HEADER + BODY] * 2


def test_in_memory_is_what_can_be_read_without_waiting(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    store.put(key, payload(), meta=NOTHING)
    asked: list[object] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(os, "preadv", lambda _, buffers, start, flags: int(flags == os.RWF_NOWAIT))
    store.will_need([key])
    assert asked == []
    for number in (errno.EAGAIN, errno.EOPNOTSUPP):  # it is not, and: the file system cannot tell
        monkeypatch.setattr(os, "preadv", failing(number))
        store.will_need([key])
    assert len(asked) == 2
