"""A forwarding order: one rule, one destination, one study; a job of the index, so that it outlives processes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import orjson

from bridge.forwarding.rules import PRIORITIES
from storage.index.registry import Job
from storage.records import ResourceRef

FINISHING = "finishing"  # the kind of job that waits until a study is quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be sent, and how far that has come."""

    rule: str
    site: str
    study_instance_uid: str
    after: int = 0  # seq of the last instance that was looked at
    sent: int = 0
    refused: tuple[tuple[str, str], ...] = field(default=())  # (SOP Instance UID, why); the first few
    refusals: int = 0
    is_ended: bool = False  # all that there was has been looked at

    @property
    def study(self) -> ResourceRef:
        """The study."""
        return ResourceRef(self.site, self.study_instance_uid)

    def with_sent(self, seq: int) -> Order:
        """One more instance has arrived there."""
        return replace(self, after=seq, sent=self.sent + 1)

    def with_refused(self, seq: int, sop_instance_uid: str, reason: str, *, limit: int) -> Order:
        """One more instance is not wanted there."""
        kept = (*self.refused, (sop_instance_uid, reason))[:limit]
        return replace(self, after=seq, refused=kept, refusals=self.refusals + 1)

    def begun(self) -> Order:
        """Taken up: one that ended with refusals is carried out again from the first instance on."""
        if not self.is_ended:
            return self
        anew = replace(self, after=0, refused=(), refusals=0) if self.refusals else self
        return replace(anew, is_ended=False)


def pack(order: Order) -> str:
    """An order as a job's payload."""
    return orjson.dumps(order).decode()


def unpack(job: Job) -> Order:
    """The order in a job."""
    values = orjson.loads(job.payload)
    values["refused"] = tuple((uid, reason) for uid, reason in values["refused"])
    return Order(**values)


def kind(destination: str, priority: str) -> str:
    """Jobs of a kind wait for one destination only, so that one that is down keeps nobody waiting."""
    return f"forward/{destination}/{priority}"


def kinds(destination: str) -> tuple[str, ...]:
    """In the order of sending."""
    return tuple(kind(destination, priority) for priority in PRIORITIES)


def order_key(rule: str, study: ResourceRef) -> str:
    """One order a rule and study."""
    return f"{rule}/{study.site}/{study.study_instance_uid}"


def study_key(study: ResourceRef) -> str:
    """One wait a study."""
    return f"{study.site}/{study.study_instance_uid}"


def study_of(key: str) -> ResourceRef:
    """What `study_key` was made of."""
    site, _, study_instance_uid = key.partition("/")
    return ResourceRef(site, study_instance_uid)
