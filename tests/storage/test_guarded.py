"""The circuit breaker and the deadline of a put."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from os import kill
from pathlib import Path

import pytest

from storage.errors import ObjectExists, StorageFull, StorageUnavailable
from storage.objects.base import ObjectMeta
from storage.objects.guarded import GuardedStore
from tests.servers.object_stores import S3Server
from tests.servers.process import wait_until
from tests.storage.conftest import open_s3
from tests.storage.stored import BODY, HEADER, StubbornStore, content, is_absent, new_key, payload, spooled_in_memory

NOTHING = ObjectMeta()


class Seconds:
    """A monotonic clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class HangingStore(StubbornStore):
    """Puts wait until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def before_put(self) -> None:
        self.go_on.wait(30)


@pytest.fixture
def inner() -> Iterator[HangingStore]:
    store = HangingStore()
    store.go_on.set()
    yield store
    store.go_on.set()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def store(inner: HangingStore, seconds: Seconds) -> Iterator[GuardedStore]:
    guarded = GuardedStore(inner, put_deadline_s=0.2, breaker_probe_s=5, threads=3, clock=seconds)
    yield guarded
    inner.go_on.set()
    guarded.close()


def test_a_store_that_is_well_is_not_in_the_way(store: GuardedStore) -> None:
    key = new_key()
    store.put(key, payload(), meta=NOTHING)
    assert content(store, key) == HEADER + BODY
    assert not store.is_open


def test_after_a_failure_puts_are_refused_without_asking_the_store(store: GuardedStore, inner: HangingStore) -> None:
    inner.away = True
    with pytest.raises(StorageUnavailable):
        store.put(new_key(), payload(), meta=NOTHING)
    assert store.is_open
    for _ in range(5):
        with pytest.raises(StorageUnavailable):
            store.put(new_key(), payload(), meta=NOTHING)
    assert len(inner.asked) == 1
    assert inner.probed == 0


@pytest.mark.parametrize("error", [StorageFull("full"), ObjectExists("taken")])
def test_an_answer_of_the_store_does_not_open_the_breaker(
    store: GuardedStore, inner: HangingStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(inner, "before_put", refuse)
    with pytest.raises(type(error)):
        store.put(new_key(), payload(), meta=NOTHING)
    assert not store.is_open


def test_a_store_that_hangs_counts_as_down_by_the_deadline(store: GuardedStore, inner: HangingStore) -> None:
    inner.go_on.clear()
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        store.put(new_key(), payload(), meta=NOTHING)
    assert 0.2 <= time.monotonic() - started < 2
    assert store.is_open


def test_a_put_that_was_given_up_may_still_finish_and_harms_nothing(store: GuardedStore, inner: HangingStore) -> None:
    given_up, key = new_key(), new_key()
    inner.go_on.clear()
    with pytest.raises(StorageUnavailable):
        store.put(given_up, payload(b"late"), meta=NOTHING)
    inner.go_on.set()
    wait_until(lambda: not is_absent(inner, given_up), what="the late put")
    wait_until(lambda: store.waiting == 0, what="the thread being free again")
    inner.put(key, payload(), meta=NOTHING)
    assert content(inner, given_up) == HEADER + b"late"


def test_a_put_that_was_given_up_reads_its_own_bytes_though_the_next_object_has_come(
    store: GuardedStore, inner: HangingStore, tmp_path: Path
) -> None:
    key, inner.go_on = new_key(), threading.Event()
    with spooled_in_memory(tmp_path, BODY) as taken, pytest.raises(StorageUnavailable):
        store.put(key, taken, meta=NOTHING)
    with spooled_in_memory(tmp_path, bytes(len(BODY))):
        inner.go_on.set()
        wait_until(lambda: not is_absent(inner, key))
    assert content(inner, key) == HEADER + BODY


def test_memory_of_a_put_that_ended_serves_the_next_object(
    store: GuardedStore, inner: HangingStore, tmp_path: Path
) -> None:
    with spooled_in_memory(tmp_path, BODY) as taken:
        buffer = taken._buffer
        store.put(new_key(), taken, meta=NOTHING)
    with spooled_in_memory(tmp_path, BODY) as taken:
        assert taken._buffer is buffer
        inner.away = True
        with pytest.raises(StorageUnavailable):
            store.put(new_key(), taken, meta=NOTHING)
    with spooled_in_memory(tmp_path, BODY) as taken:
        assert taken._buffer is buffer


def test_the_number_of_puts_given_up_is_bounded(store: GuardedStore, inner: HangingStore) -> None:
    inner.go_on.clear()
    refused: list[str] = []

    def put() -> None:
        try:
            store.put(new_key(), payload(), meta=NOTHING)
        except StorageUnavailable as error:
            refused.append(str(error))

    threads = [threading.Thread(target=put) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 10
    assert store.waiting <= 3
    assert len(inner.asked) <= 3


def test_a_probe_closes_the_breaker_once_the_store_answers(
    store: GuardedStore, inner: HangingStore, seconds: Seconds
) -> None:
    trip(store, inner)
    inner.away = False
    refused_put(store)
    assert inner.probed == 0  # too soon
    seconds.now += 5
    refused_put(store)  # nobody waits for the probe
    wait_until(lambda: not store.is_open, what="the breaker being closed")
    key = new_key()
    store.put(key, payload(), meta=NOTHING)
    assert content(inner, key) == HEADER + BODY


def test_a_failed_probe_leaves_the_breaker_open_for_another_interval(
    store: GuardedStore, inner: HangingStore, seconds: Seconds
) -> None:
    trip(store, inner)
    for probes in (1, 2):
        seconds.now += 5
        refused_put(store)
        wait_until(lambda probes=probes: inner.probed == probes and not probing(), what="a probe")  # type: ignore[misc]
        refused_put(store)
        assert inner.probed == probes
    assert store.is_open


def test_there_is_one_probe_at_a_time(
    store: GuardedStore, inner: HangingStore, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip(store, inner)
    asked, go_on = list[str](), threading.Event()

    def slow_stat(key: str, *, version_id: str | None = None) -> None:
        asked.append(key)
        go_on.wait(30)
        raise StorageUnavailable("away")

    monkeypatch.setattr(inner, "stat", slow_stat)
    try:
        for _ in range(10):
            seconds.now += 5
            refused_put(store)
        assert len(asked) <= 1
    finally:
        go_on.set()
    wait_until(lambda: not probing(), what="the probe's end")


def test_a_large_object_has_longer_to_arrive(store: GuardedStore, inner: HangingStore) -> None:
    big = payload()
    big.size_bytes = 80 << 20  # at the slowest rate that is ten seconds more
    inner.go_on.clear()
    threading.Timer(0.6, inner.go_on.set).start()
    store.put(new_key(), big, meta=NOTHING)
    assert not store.is_open


@pytest.mark.server
def test_a_stopped_server_is_given_up_by_the_deadline_and_used_again_when_it_goes_on(minio_server: S3Server) -> None:
    inner = open_s3(minio_server, read_timeout_s=1.0)
    inner.ensure_bucket()
    store = GuardedStore(inner, put_deadline_s=0.5, breaker_probe_s=0.1)
    store.put(new_key(), payload(), meta=NOTHING)
    kill(minio_server.process.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        refused_put(store)
        assert time.monotonic() - started < 3
        started = time.monotonic()
        refused_put(store)
        assert time.monotonic() - started < 0.3
    finally:
        kill(minio_server.process.pid, signal.SIGCONT)

    def put_works() -> bool:
        try:
            store.put(new_key(), payload(), meta=NOTHING)
        except StorageUnavailable:
            return False
        return True

    wait_until(put_works, what="the breaker being closed")
    store.close()


def trip(store: GuardedStore, inner: HangingStore) -> None:
    inner.away = True
    refused_put(store)
    assert store.is_open


def refused_put(store: GuardedStore) -> None:
    with pytest.raises(StorageUnavailable):
        store.put(new_key(), payload(), meta=NOTHING)


def probing() -> bool:
    return any(thread.name == "store-probe" for thread in threading.enumerate())
