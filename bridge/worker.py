"""Background work of a node: landing delivery here, and, under a lease, the work that is shared by all nodes.

Each task is idempotent and may be killed at any time. A task that fails is logged and tried again at its next turn.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bridge import bundling, process, reclaim, relocate
from bridge.archive import Archive, prepare_store
from bridge.forwarding import routing
from bridge.waking import Wake
from storage.errors import StorageUnavailable
from storage.objects.base import Sweepable

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: how often, and whether only the lease holder does it."""

    name: str
    interval_s: float
    shared: bool
    run: Callable[[Archive], object]


def main(arguments: list[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code."""
    return process.run(
        "bridge.worker",
        "The background work of a node.",
        lambda archive: partial(work, archive),
        arguments,
        called="the worker",
    )


def work(archive: Archive) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = Wake()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(archive, stop)


def tasks(archive: Archive) -> list[Task]:
    """Everything the worker does, in one table."""
    worker = archive.settings.worker
    return [
        Task("deliver landing", worker.interval_s, False, _deliver),
        Task("sweep unfinished", worker.orphan_sweep_interval_s, False, _sweep_unfinished),
        Task("bundle metadata", worker.interval_s, True, bundling.bundle_quiet_series),
        *_forwarding(archive),
        Task("forget old orders", worker.orphan_sweep_interval_s, True, routing.forget_old),
        Task("reclaim", worker.reclaim_interval_s, True, reclaim.reclaim),
        Task("sweep orphans", worker.orphan_sweep_interval_s, True, reclaim.sweep_orphans),
    ]


def _forwarding(archive: Archive) -> list[Task]:
    """None without rules: each look at shared work takes a lease, which is a commit."""
    if not archive.settings.forward_rules:
        return []
    interval_s = archive.settings.forwarding.interval_s
    return [
        Task("read the feed", interval_s, True, routing.read_feed),
        Task("order finished studies", interval_s, True, routing.order_finished),
    ]


def run(archive: Archive, stop: Wake) -> None:
    """Work until `stop` is set."""
    due = {task.name: 0.0 for task in tasks(archive)}
    while not stop.is_set() and not _store_is_prepared(archive):
        stop.wait(archive.settings.storage.breaker_probe_s)
    while not stop.is_set():
        for task in tasks(archive):
            if stop.is_set():
                return
            if time.monotonic() >= due[task.name]:
                _run_task(archive, task)
                due[task.name] = time.monotonic() + task.interval_s
        stop.wait(max(0.05, min(due.values()) - time.monotonic()))


def _run_task(archive: Archive, task: Task) -> None:
    holder = f"{archive.settings.node}/{os.getpid()}"
    try:
        if task.shared and not archive.registry.lease(
            f"worker/{task.name}", holder, now=archive.now(), seconds=archive.settings.worker.lease_s
        ):
            return
        task.run(archive)
    except Exception:
        _LOG.exception("the task %r failed and will be tried again", task.name)


def _store_is_prepared(archive: Archive) -> bool:
    """A store that was away when the bridge started gets its bucket as soon as it is back."""
    try:
        prepare_store(archive.settings)
    except StorageUnavailable:
        return False
    except Exception:
        _LOG.exception("the object store cannot be prepared; instances are landed")
        return False
    return True


def _deliver(archive: Archive) -> None:
    """Deliver whole batches until nothing waits or the store is away."""
    while True:
        done = relocate.deliver_landing(archive, limit=archive.settings.worker.relocate_batch)
        if done.moved < archive.settings.worker.relocate_batch or done.waiting:
            return


def _sweep_unfinished(archive: Archive) -> None:
    """What puts left that were cut off; a live one is never older than the commit window."""
    older_than = timedelta(seconds=archive.settings.storage.commit_window_s)
    for store in archive.stores.values():
        if isinstance(store, Sweepable):
            store.sweep_unfinished(older_than)


if __name__ == "__main__":
    sys.exit(main())
