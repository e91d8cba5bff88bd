"""A deadline and a circuit breaker around a store that may be slow, away or hung.

A put that fails with StorageUnavailable, or is not done by its deadline, opens the breaker: from then on puts are
refused at once, so that the caller can divert them, until a probe finds the store answering. Nobody waits for a probe:
it runs in the background, one at a time, when a put asks and the last one is `breaker_probe_s` ago. A put given up at
its deadline goes on in its thread until the store's own timeouts end it; keys are used once, and the payload's memory
is not used again, so it can leave an orphan but spoil nothing.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta

from storage.errors import StorageError, StorageFull, StorageUnavailable
from storage.objects.base import ObjectInfo, ObjectMeta, ObjectPolicy, ObjectStore, Sweepable
from storage.objects.payload import Payload

PROBE_KEY = "probe"  # never an object of ours: the answer "no such object" is a sign of life
_SLOWEST_BYTES_PER_S = 8 << 20  # a put may take this much longer, so that a large object is not taken for a hang
_Task = tuple["Future[ObjectInfo]", Callable[[], ObjectInfo]]


class GuardedStore:
    """An `ObjectStore` in front of another. Reads pass straight through: the store's own timeouts bound them."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        put_deadline_s: float,
        breaker_probe_s: float,
        threads: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._put_deadline_s = put_deadline_s
        self._breaker_probe_s = breaker_probe_s
        self._clock = clock
        self._lock = threading.Lock()
        self._open = False
        self._probed_at = 0.0
        self._probing = False
        self._workers = _Workers(threads)

    @property
    def is_open(self) -> bool:
        """True while puts are refused."""
        return self._open

    @property
    def waiting(self) -> int:
        """Puts in progress or given up but not ended; at most `threads`."""
        return self._workers.busy

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        """See ObjectStore. Raises StorageUnavailable at once while the breaker is open, else by the deadline."""
        if self._open:
            self._ask_for_probe()
            raise StorageUnavailable("the object store was not answering; it is asked again in the background")
        deadline_s = self._put_deadline_s + payload.size_bytes / _SLOWEST_BYTES_PER_S
        try:
            return self._workers.run(lambda: self._store.put(key, payload, meta=meta), deadline_s)
        except (StorageUnavailable, TimeoutError) as error:
            self._trip()
            if isinstance(error, TimeoutError):
                payload.keep()
                raise StorageUnavailable(f"the object store did not answer within {deadline_s:.0f} s") from None
            raise

    def read(
        self, key: str, *, version_id: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """See ObjectStore."""
        return self._store.read(key, version_id=version_id, start=start, length=length)

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See ObjectStore."""
        return self._store.stat(key, version_id=version_id)

    def meta(self, key: str, *, version_id: str | None = None) -> ObjectMeta:
        """See ObjectStore."""
        return self._store.meta(key, version_id=version_id)

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See ObjectStore."""
        self._store.delete(key, version_id=version_id)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        return self._store.list(prefix)

    def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._policy().set_tags(key, tags, version_id=version_id)

    def extend_retention(self, key: str, until: datetime, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._policy().extend_retention(key, until, version_id=version_id)

    def set_legal_hold(self, key: str, held: bool, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._policy().set_legal_hold(key, held, version_id=version_id)

    def sweep_unfinished(self, older_than: timedelta) -> int:
        """As the guarded store does it; nothing where it has nothing to tidy up."""
        return self._store.sweep_unfinished(older_than) if isinstance(self._store, Sweepable) else 0

    def close(self) -> None:
        """Let the threads end after what they are doing; does not wait for a store that hangs."""
        self._workers.close()
        self._store.close()

    def _policy(self) -> ObjectPolicy:
        if not isinstance(self._store, ObjectPolicy):
            raise StorageError("this store cannot change what an object carries")
        return self._store

    def _trip(self) -> None:
        with self._lock:
            self._open = True
            self._probed_at = self._clock()

    def _ask_for_probe(self) -> None:
        with self._lock:
            if self._probing or self._clock() - self._probed_at < self._breaker_probe_s:
                return
            self._probing = True
        threading.Thread(target=self._probe, name="store-probe", daemon=True).start()

    def _probe(self) -> None:
        answers = True
        try:
            self._store.stat(PROBE_KEY)
        except (StorageUnavailable, StorageFull):
            answers = False
        except StorageError:
            pass  # no such object: it answers
        finally:
            with self._lock:
                self._open = not answers
                self._probed_at = self._clock()
                self._probing = False


class _Workers:
    """Daemon threads, started when needed, at most `limit`: a hung one holds up neither the caller nor the exit."""

    def __init__(self, limit: int) -> None:
        self._free = threading.Semaphore(limit)
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads = 0
        self.busy = 0

    def run(self, task: Callable[[], ObjectInfo], deadline_s: float) -> ObjectInfo:
        """The task's answer, or its error; TimeoutError when neither came by the deadline."""
        started = time.monotonic()
        if not self._free.acquire(timeout=deadline_s):
            raise TimeoutError
        future: Future[ObjectInfo] = Future()
        with self._lock:
            self.busy += 1
            if self.busy > self._threads:
                self._threads += 1
                threading.Thread(target=self._work, name="store-put", daemon=True).start()
        self._tasks.put((future, task))
        return future.result(max(0.0, deadline_s - (time.monotonic() - started)))

    def close(self) -> None:
        """Every thread ends once it is free."""
        with self._lock:
            for _ in range(self._threads):
                self._tasks.put(None)

    def _work(self) -> None:
        while (entry := self._tasks.get()) is not None:
            future, task = entry
            try:
                answer = task()
            except BaseException as error:  # whoever waits for the future handles it
                self._done()
                future.set_exception(error)
            else:
                self._done()
                future.set_result(answer)
            del entry, future, task

    def _done(self) -> None:
        with self._lock:
            self.busy -= 1
        self._free.release()
