"""`python -m scp.sender`: the process that calls peers by itself. It works off jobs of the index, of the kinds below.

Several senders may run, on one box or many: each claims what is due, and what a dead one had claimed is due again
after `sender.claim_s`. One job a peer at a time, so that one that hangs holds up nobody else.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from bridge import commitment, jobs, process
from bridge.archive import Archive
from bridge.jobs import Job
from bridge.peers import Roster, Watch
from bridge.retrieve import Retrieve
from bridge.waking import Wake
from scp import reporting
from scp.forward import forwarder
from storage.errors import StorageError

_LOG = logging.getLogger("scp.sender")
_FORGET_EVERY_S = 3600.0

# Kind of job -> one turn of it. A new reaction that calls peers is one file and one line here.
KINDS: Mapping[str, Callable[[Archive, Roster, Job], Job]] = {commitment.KIND: reporting.run}


class Sender:
    """Works jobs off until it is stopped."""

    def __init__(self, archive: Archive, kinds: Mapping[str, Callable[[Archive, Roster, Job], Job]] = KINDS) -> None:
        self._archive = archive
        self._kinds = kinds
        self._settings = archive.settings.sender
        self._watch = Watch(archive)
        self._retrieve = Retrieve(archive)
        self._forwarder = forwarder(archive, lambda: self._watch.roster, self._retrieve)
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="job")
        self._busy: set[str] = set()  # targets that are being called
        self._changed = threading.Condition()
        self._wake = Wake()
        self._is_stopping = False

    def stop(self) -> None:
        """Ask `run` to return once the running jobs' turns are over; safe in a signal handler."""
        self._is_stopping = True
        self._wake.set()

    def look_again(self) -> None:
        """Ask for changed peers to be noticed now; safe in a signal handler."""
        self._wake.set()

    def run(self) -> None:
        """Claim and work until stopped. An index that is away is waited for."""
        forget_in_s = 0.0
        self._forwarder.start()
        while not self._is_stopping:
            self._watch.look()
            try:
                if forget_in_s <= 0:
                    self.forget()
                    forget_in_s = _FORGET_EVERY_S
                self.turn()
            except StorageError as error:
                _LOG.warning("jobs wait, because the index does not answer: %s", error)
            forget_in_s -= self._settings.interval_s
            self._wake.wait(self._settings.interval_s)
            self._wake.clear()
        self._forwarder.stop()
        self._pool.shutdown()
        self._retrieve.close()

    def turn(self) -> None:
        """Claim what is due, as much as there are threads free, and begin it. Raises StorageError."""
        for kind in self._kinds:
            with self._changed:
                free = self._settings.threads - len(self._busy)
            if free <= 0:
                return
            now = self._archive.now()
            until = now + timedelta(seconds=self._settings.claim_s)
            for job in self._archive.registry.claim_jobs(kind, now=now, until=until, limit=free):
                self._begin(job)

    def wait_idle(self, timeout_s: float) -> bool:
        """Whether everything that was begun has ended within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout_s)

    def _begin(self, job: Job) -> None:
        with self._changed:
            is_free = job.target not in self._busy
            if is_free:
                self._busy.add(job.target)
        if is_free:
            self._pool.submit(self._work, job)
            return
        at, in_s = self._archive.now(), self._settings.interval_s
        self._archive.registry.settle_job(job, jobs.later(job, payload=job.payload, at=at, in_s=in_s))

    def _work(self, job: Job) -> None:
        try:
            became = self._kinds[job.kind](self._archive, self._watch.roster, job)
            if became.problem and became.problem != job.problem:
                _LOG.warning("%s for %s, job %d: %s", job.kind, job.target, job.job_id, became.problem)
            if not self._archive.registry.settle_job(job, became):
                _LOG.warning("%s for %s, job %d took longer than its claim", job.kind, job.target, job.job_id)
        except Exception:  # the loop's last resort: the claim runs out and the job comes again
            _LOG.exception("%s for %s, job %d failed and will be tried again", job.kind, job.target, job.job_id)
        finally:
            with self._changed:
                self._busy.discard(job.target)
                self._changed.notify_all()

    def forget(self) -> None:
        """Forget jobs that ended long ago. Raises StorageError."""
        before = self._archive.now() - timedelta(seconds=self._archive.settings.commitment.keep_s)
        self._archive.registry.forget_jobs(commitment.KIND, before=before)


def main(arguments: list[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code."""
    description = "Calls peers: reports of commitment, finished studies."
    return process.run("scp.sender", description, _prepare, arguments, called="the sender")


def _prepare(archive: Archive) -> process.Work:
    sender = Sender(archive)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())
    signal.signal(signal.SIGHUP, lambda *_: sender.look_again())
    return sender.run


if __name__ == "__main__":
    sys.exit(main())
