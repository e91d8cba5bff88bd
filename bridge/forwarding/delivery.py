"""One destination's orders, carried out: instances go out one after the other, what is done is remembered as it goes.

How an instance is sent is the door's business: it brings a Courier. An order that fails waits, longer each time; one
whose instances the destination refuses for good goes on with the others and is dead at its end, with the reasons.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from bridge import audit, jobs, metrics
from bridge.archive import Archive
from bridge.errors import BridgeError, Gone, NotFound
from bridge.forwarding import orders
from bridge.forwarding.orders import Order
from bridge.forwarding.rules import hours_of, means
from bridge.settings import ForwardRule
from storage.index.base import Arrival
from storage.index.registry import Job
from storage.records import InstanceRecord, Origin

_LOG = logging.getLogger(__name__)


class Unreachable(Exception):
    """The destination cannot take anything now; later it may."""


class NotWanted(Exception):
    """The destination refuses this instance, and would refuse it again; others may be welcome."""


class Line(Protocol):
    """An open way to a destination."""

    def send(self, record: InstanceRecord) -> None:
        """Send one instance; returns once it is safe there. Raises Unreachable, NotWanted, or a BridgeError of ours."""
        ...


Courier = Callable[[ForwardRule], AbstractContextManager[Line]]  # opening it raises Unreachable


def deliver_due(archive: Archive, destination: str, courier: Courier, stop: threading.Event) -> int:
    """Carry out the orders of one destination that are due, the most urgent first; how many were looked at."""
    looked_at = 0
    for kind in orders.kinds(destination):
        while not stop.is_set():
            now = archive.now()
            until = now + timedelta(seconds=archive.settings.forwarding.claim_s)
            claimed = archive.registry.claim_jobs(kind, now=now, until=until, limit=1)
            if not claimed:
                break
            looked_at += 1
            _Delivery(archive, claimed[0], stop).run(courier)
            if kind != orders.kinds(destination)[0]:
                return looked_at  # something more urgent may have come meanwhile
    return looked_at


class _Delivery:
    """One order on its way; `job` is the claim as it stands."""

    def __init__(self, archive: Archive, job: Job, stop: threading.Event) -> None:
        self._archive = archive
        self._settings = archive.settings.forwarding
        self._job = job
        self._order = orders.unpack(job).begun()
        self._stop = stop

    def run(self, courier: Courier) -> None:
        rule = next((rule for rule in self._archive.settings.forward_rules if rule.name == self._order.rule), None)
        if rule is None:
            self._settle("dead", f"there is no rule {self._order.rule!r} any more")
            return
        begins = self._begins(rule)
        if begins > self._archive.now():
            self._settle("waiting", f"the rule sends at {rule.hours}", due_at=begins)
            return
        try:
            with courier(rule) as line:
                is_whole = self._send_all(line, rule)
        except (Unreachable, BridgeError) as error:
            self._put_off(error)
            return
        if is_whole:
            self._finish()
        else:
            self._settle("waiting", "", due_at=self._archive.now())

    def _begins(self, rule: ForwardRule) -> datetime:
        hours = hours_of(rule)
        now = self._archive.now()
        if hours is None:
            return now
        local = now.astimezone(ZoneInfo(self._archive.settings.retention.timezone))
        return hours.next_begin(local)

    def _send_all(self, line: Line, rule: ForwardRule) -> bool:
        """False when it was broken off: the program stops, or somebody else has the job."""
        while True:
            page = self._archive.index.arrivals(
                self._order.study, after=self._order.after, limit=self._settings.progress_instances
            )
            if not page:
                return True
            for arrival in page:
                if self._stop.is_set():
                    return False
                self._order = self._after(line, rule, arrival)
            if not self._remember():
                _LOG.info("the order %d was taken up by somebody else", self._job.job_id)
                return False

    def _after(self, line: Line, rule: ForwardRule, arrival: Arrival) -> Order:
        record = arrival.record
        if not means(rule, record):
            return replace(self._order, after=arrival.seq)
        try:
            line.send(record)
        except (NotFound, Gone):
            return replace(self._order, after=arrival.seq)  # deleted meanwhile: there is nothing to send
        except NotWanted as refusal:
            metrics.FORWARDED.labels(self._job.target, "refused").inc()
            uid, limit = record.ref.sop_instance_uid or "", self._settings.refused_limit
            return self._order.with_refused(arrival.seq, uid, str(refusal), limit=limit)
        metrics.FORWARDED.labels(self._job.target, "sent").inc()
        return self._order.with_sent(arrival.seq)

    def _remember(self) -> bool:
        """Keep how far it has come, and the claim for longer."""
        until = self._archive.now() + timedelta(seconds=self._settings.claim_s)
        return self._settle("waiting", "", due_at=until)

    def _finish(self) -> None:
        self._order = replace(self._order, is_ended=True)
        if self._order.refusals:
            reason = self._order.refused[0][1] if self._order.refused else ""
            self._settle("dead", f"{self._order.refusals} instances were refused, the first: {reason}")
        else:
            self._settle("done", "")
        self._record("success" if not self._order.refusals else "refused")

    def _put_off(self, error: Exception) -> None:
        settings = self._settings
        failed = jobs.failed(
            self._job,
            str(error),
            at=self._archive.now(),
            attempts=settings.attempts,
            retry_s=settings.retry_s,
            retry_max_s=settings.retry_max_s,
        )
        self._settle(failed.state, failed.problem, attempts=failed.attempts, due_at=failed.due_at)
        if failed.state == "dead":
            self._record("failed")
        else:
            _LOG.warning("%s: an order waits until %s: %s", self._job.target, failed.due_at.isoformat(), error)

    def _settle(self, state: str, problem: str, *, attempts: int | None = None, due_at: datetime | None = None) -> bool:
        became = replace(
            self._job,
            payload=orders.pack(self._order),
            state=state,
            problem=problem,
            attempts=self._job.attempts if attempts is None else attempts,
            due_at=due_at or self._job.due_at,
        )
        is_ours = self._archive.registry.settle_job(self._job, became)
        self._job = became
        return is_ours

    def _record(self, outcome: str) -> None:
        origin = Origin(door="WORKER", name=f"forward {self._order.rule} to {self._job.target}", address="")
        audit.record("forward", at=self._archive.now(), origin=origin, outcome=outcome, ref=self._order.study)
