"""Every promise of the object store protocol, on every backend."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import InvalidKey, InvalidMeta, ObjectExists, ObjectHeld, ObjectNotFound
from storage.objects.base import CHUNK_BYTES, ObjectMeta, ObjectPolicy, ObjectStore
from tests.storage.conftest import PART_BYTES
from tests.storage.stored import BODY, HEADER, content, is_absent, keys_of, new_key, pattern, payload, spooled

NOTHING = ObjectMeta()
CARRIED = ObjectMeta(tags={"rc": "cn-op-15", "mod": "CT"}, user={"aet": "CT 01", "recv": "2026-11-23T08:00:00+00:00"})
BAD_KEYS = ["", "/a", "a//b", "../a", "a/../b", "a/.hidden", "a b", "a/" + "x" * 256, "a\\b", "a\x00b", "é"]


def test_what_was_put_is_read_back(store: ObjectStore) -> None:
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    assert content(store, key) == HEADER + BODY
    assert (info.key, info.size_bytes) == (key, len(HEADER + BODY))


def test_a_spooled_payload_is_taken_like_one_in_memory(store: ObjectStore, tmp_path: Path) -> None:
    key = new_key()
    with spooled(tmp_path, pattern(300_000)) as taken:
        store.put(key, taken, meta=CARRIED)
    assert content(store, key) == HEADER + pattern(300_000)
    assert store.meta(key) == CARRIED


def test_an_object_beyond_one_part_is_taken_whole(store: ObjectStore, tmp_path: Path) -> None:
    body = pattern(2 * PART_BYTES + 12345)
    for taken in (payload(body), spooled(tmp_path, body)):
        key = new_key()
        with taken:
            store.put(key, taken, meta=CARRIED)
        assert content(store, key) == HEADER + body
        assert store.meta(key) == CARRIED
        assert content(store, key, start=PART_BYTES - 7, length=20) == (HEADER + body)[PART_BYTES - 7 :][:20]


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    key = new_key()
    store.put(key, payload(b"", b""), meta=NOTHING)
    assert store.stat(key).size_bytes == 0
    assert content(store, key) == b""


@pytest.mark.parametrize("size_bytes", [100, 2 * PART_BYTES])
def test_a_taken_key_is_refused_and_the_first_object_stays(store: ObjectStore, size_bytes: int) -> None:
    key = new_key()
    store.put(key, payload(b"first"), meta=CARRIED)
    with pytest.raises(ObjectExists):
        store.put(key, payload(pattern(size_bytes)), meta=NOTHING)
    assert content(store, key) == HEADER + b"first"
    assert store.meta(key) == CARRIED


def test_of_many_puts_under_one_key_exactly_one_wins(store: ObjectStore) -> None:
    key, outcomes, ready = new_key(), [], threading.Barrier(4)

    def put(number: int) -> None:
        ready.wait()
        try:
            store.put(key, payload(b"%d" % number), meta=NOTHING)
            outcomes.append(number)
        except ObjectExists:
            pass

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert content(store, key) == HEADER + b"%d" % outcomes[0]


@pytest.mark.parametrize("in_file", [False, True])
def test_a_put_that_raised_may_be_repeated_under_another_key(store: ObjectStore, tmp_path: Path, in_file: bool) -> None:
    taken_key, key = new_key(), new_key()
    store.put(taken_key, payload(b"other"), meta=NOTHING)
    with spooled(tmp_path) if in_file else payload() as repeated:
        with pytest.raises(ObjectExists):
            store.put(taken_key, repeated, meta=NOTHING)
        store.put(key, repeated, meta=NOTHING)
    assert content(store, key) == HEADER + BODY


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_some_store_would_refuse_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidKey):
        store.put(key, payload(), meta=NOTHING)
    assert keys_of(store.list()) == []


@pytest.mark.parametrize(
    "meta",
    [
        ObjectMeta(tags={f"t{number}": "" for number in range(11)}),
        ObjectMeta(tags={"n" * 36: ""}),
        ObjectMeta(tags={"name": "v" * 43}),
        ObjectMeta(tags={"name": "a&b"}),
        ObjectMeta(tags={"name": "张"}),
        ObjectMeta(user={"name": "张"}),
        ObjectMeta(user={"Name": "upper case"}),
        ObjectMeta(user={"name": " spaces "}),
        ObjectMeta(user={"name": "line\nbreak"}),
        ObjectMeta(user={"name": "v" * 1537}),
        ObjectMeta(retain_until=datetime(2001, 1, 1, tzinfo=UTC)),
        ObjectMeta(retain_until=datetime(2999, 1, 1)),  # without a zone
    ],
)
def test_meta_that_some_store_would_refuse_is_refused(store: ObjectStore, meta: ObjectMeta) -> None:
    key = new_key()
    with pytest.raises(InvalidMeta):
        store.put(key, payload(), meta=meta)
    assert is_absent(store, key)


def test_what_travels_with_an_object_comes_back(store: ObjectStore, soon: datetime) -> None:
    key = new_key()
    meta = ObjectMeta(
        tags={f"tag-{number}": "v" * 42 for number in range(10)},
        user={"name": "a b=c;d,e%20/f", "long": "v" * 1400, "empty-not": "0"},
        retain_until=soon + timedelta(hours=1),
        legal_hold=True,
    )
    store.put(key, payload(), meta=meta)
    assert store.meta(key) == meta
    assert isinstance(store, ObjectPolicy)
    store.set_legal_hold(key, False)


def test_chunks_are_at_most_one_mebibyte_and_never_empty(store: ObjectStore) -> None:
    key = new_key()
    store.put(key, payload(pattern(3 * CHUNK_BYTES + 5)), meta=NOTHING)
    sizes = [len(chunk) for chunk in store.read(key)]
    assert max(sizes) <= CHUNK_BYTES
    assert min(sizes) > 0
    assert sum(sizes) == len(HEADER) + 3 * CHUNK_BYTES + 5


def test_a_range_is_exactly_the_bytes_asked_for(store: ObjectStore) -> None:
    key, body = new_key(), pattern(9 << 20)
    store.put(key, payload(body, b""), meta=NOTHING)
    for start, length in [(0, 1), (5, 10), (4 << 20, 1), ((4 << 20) - 1, 2), (1, 8 << 20), (len(body) - 3, 3), (7, 0)]:
        assert content(store, key, start=start, length=length) == body[start : start + length]
    assert content(store, key, start=100) == body[100:]


def test_a_range_past_the_end_yields_nothing(store: ObjectStore) -> None:
    key = new_key()
    store.put(key, payload(b"0123456789", b""), meta=NOTHING)
    assert content(store, key, start=10) == b""
    assert content(store, key, start=99, length=5) == b""
    assert content(store, key, start=8, length=5) == b"89"


def test_a_missing_object_is_raised_by_the_call_before_the_first_chunk(store: ObjectStore) -> None:
    store.put(new_key(), payload(), meta=NOTHING)
    for where in ({}, {"start": 5}, {"start": 1, "length": 2}, {"length": 0}):
        with pytest.raises(ObjectNotFound):
            store.read(new_key(), **where)


def test_a_missing_object_has_no_stat_no_meta_and_no_policy(store: ObjectStore, soon: datetime) -> None:
    assert isinstance(store, ObjectPolicy)
    store.put("default/1.2/there", payload(), meta=NOTHING)
    for key in (new_key(), "default", "default/1.2"):
        with pytest.raises(ObjectNotFound):
            store.stat(key)
        with pytest.raises(ObjectNotFound):
            store.meta(key)
    with pytest.raises(ObjectNotFound):
        store.set_tags(new_key(), {"a": "b"})
    with pytest.raises(ObjectNotFound):
        store.extend_retention(new_key(), soon + timedelta(hours=1))
    with pytest.raises(ObjectNotFound):
        store.set_legal_hold(new_key(), True)


def test_a_read_closed_early_leaves_the_store_usable(store: ObjectStore) -> None:
    key, body = new_key(), pattern(9 << 20)
    store.put(key, payload(body, b""), meta=NOTHING)
    for _ in range(20):  # more than the store has connections
        chunks = store.read(key)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]  # every backend's iterator is a generator
        store.read(key).close()  # type: ignore[attr-defined]  # before its first chunk
    assert content(store, key) == body


def test_stat_tells_size_and_an_aware_time(store: ObjectStore) -> None:
    key, before = new_key(), datetime.now(UTC)
    put = store.put(key, payload(), meta=NOTHING)
    info = store.stat(key)
    assert (info.key, info.size_bytes, info.version_id) == (key, len(HEADER + BODY), put.version_id)
    assert abs(info.modified_at - before) < timedelta(seconds=30)


def test_a_deleted_object_is_gone(store: ObjectStore) -> None:
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    store.delete(key, version_id=info.version_id)
    assert is_absent(store, key)
    assert keys_of(store.list()) == []
    with pytest.raises(ObjectNotFound):
        store.read(key)


def test_a_delete_without_a_version_leaves_none(store: ObjectStore) -> None:
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    store.delete(key)
    assert keys_of(store.list()) == []
    with pytest.raises(ObjectNotFound):
        store.read(key, version_id=info.version_id)


def test_deleting_what_is_not_there_is_no_error(store: ObjectStore) -> None:
    store.delete(new_key())
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    store.delete(key, version_id=info.version_id)
    store.delete(key, version_id=info.version_id)


def test_a_locked_or_held_object_cannot_be_deleted(store: ObjectStore, soon: datetime) -> None:
    assert isinstance(store, ObjectPolicy)
    for meta in (ObjectMeta(retain_until=soon + timedelta(hours=1)), ObjectMeta(legal_hold=True)):
        key = new_key()
        info = store.put(key, payload(), meta=meta)
        for version_id in (info.version_id, None):
            with pytest.raises(ObjectHeld):
                store.delete(key, version_id=version_id)
        assert content(store, key) == HEADER + BODY
    store.set_legal_hold(key, False, version_id=info.version_id)
    store.delete(key, version_id=info.version_id)
    assert is_absent(store, key)


def test_a_lock_can_be_lengthened_but_not_shortened(store: ObjectStore, soon: datetime) -> None:
    assert isinstance(store, ObjectPolicy)
    key = new_key()
    store.put(key, payload(), meta=ObjectMeta(retain_until=soon + timedelta(hours=1)))
    with pytest.raises(ObjectHeld):
        store.extend_retention(key, soon + timedelta(minutes=30))
    store.extend_retention(key, soon + timedelta(hours=2))
    assert store.meta(key).retain_until == soon + timedelta(hours=2)


def test_a_lock_can_be_set_later(store: ObjectStore, soon: datetime) -> None:
    assert isinstance(store, ObjectPolicy)
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    store.extend_retention(key, soon + timedelta(hours=1), version_id=info.version_id)
    with pytest.raises(ObjectHeld):
        store.delete(key, version_id=info.version_id)


def test_tags_are_replaced_whole_and_nothing_else_changes(store: ObjectStore, soon: datetime) -> None:
    assert isinstance(store, ObjectPolicy)
    key = new_key()
    store.put(key, payload(), meta=ObjectMeta(tags={"a": "1", "b": "2"}, user={"u": "1"}))
    store.set_tags(key, {"b": "3", "c": "4"})
    assert store.meta(key) == ObjectMeta(tags={"b": "3", "c": "4"}, user={"u": "1"})
    with pytest.raises(InvalidMeta):
        store.set_tags(key, {"a": "v" * 43})
    assert content(store, key) == HEADER + BODY


def test_a_listing_is_in_key_order_and_honours_its_prefix(store: ObjectStore) -> None:
    keys = ["a/b/1", "a/b-1", "a/b.1", "a/b1", "a/b/2/x", "a-/1", "a0", "b/1", "ab", "A/1"]
    for key in keys:
        store.put(key, payload(), meta=NOTHING)
    assert keys_of(store.list()) == sorted(keys)
    for prefix in ("a", "a/", "a/b", "a/b/", "a/b/2", "b", "a/b1", "a/b12", "zzz", "a/b/1"):
        assert keys_of(store.list(prefix)) == sorted(key for key in keys if key.startswith(prefix)), prefix
    assert {info.size_bytes for info in store.list()} == {len(HEADER + BODY)}


def test_a_listing_names_the_version_that_stat_knows(store: ObjectStore) -> None:
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    (listed,) = store.list()
    assert listed.version_id == info.version_id
    assert store.stat(key, version_id=listed.version_id).size_bytes == info.size_bytes


def test_a_listing_never_shows_a_half_written_object(store: ObjectStore) -> None:
    size_bytes = len(HEADER) + 2 * PART_BYTES
    done = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        while not done.is_set():
            seen.extend(info.size_bytes for info in store.list())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3):
            store.put(new_key(), payload(bytes(2 * PART_BYTES)), meta=NOTHING)
    finally:
        done.set()
        watcher.join()
    assert set(seen) <= {size_bytes}
    assert [info.size_bytes for info in store.list()] == [size_bytes] * 3


def test_an_object_put_after_another_below_it_was_deleted_finds_its_place(store: ObjectStore) -> None:
    """Directories come and go with the objects in them; a put must not lose against a delete."""
    failures: list[Exception] = []

    def churn(number: int) -> None:
        try:
            for _ in range(15):
                key = new_key("default/9.9/8.8")
                store.put(key, payload(), meta=NOTHING)
                store.delete(key)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert keys_of(store.list()) == []
