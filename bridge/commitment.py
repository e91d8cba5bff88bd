"""Storage commitment: is it safe? Said only of bytes that were read back from the object store (PS3.4 Annex J).

A request is a job of the index, so it outlives every process. Landing does not count: what lies there is waited for.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from time import monotonic

import orjson

from bridge import metrics
from bridge.archive import LANDING, Archive
from bridge.errors import NotFound, NotOnline, Unavailable
from bridge.intact import is_intact
from bridge.jobs import Job, done
from storage.errors import StorageError

KIND = "commitment"  # of jobs
COMMITTED = 0
_ALL = 1 << 30


class Failure(IntEnum):
    """Failure Reason (0008,1197) (PS3.3 §C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110  # other bytes than were stored, or a conflict that nobody has settled
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    RESOURCE_LIMITATION = 0x0213  # it did not reach the object store in time


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance that is asked about, and the verdict: None = not yet known, 0 = committed, else a Failure."""

    sop_class_uid: str
    sop_instance_uid: str
    verdict: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a device asked, and how far the answer is."""

    transaction_uid: str
    site: str
    peer: str  # its name; "" = a caller that is not listed
    ae_title: str  # of the device
    called_ae_title: str  # how it calls us
    references: tuple[Reference, ...]

    @property
    def is_decided(self) -> bool:
        """Whether there is a verdict on every reference."""
        return all(reference.verdict is not None for reference in self.references)

    @property
    def failures(self) -> tuple[Reference, ...]:
        """Those that are not committed."""
        return tuple(reference for reference in self.references if reference.verdict)

    @property
    def committed(self) -> tuple[Reference, ...]:
        """Those that are."""
        return tuple(reference for reference in self.references if reference.verdict == COMMITTED)


def take_on(archive: Archive, request: Request, *, due_in_s: float = 0.0) -> Job | None:
    """Make the request durable; None when this device has used the Transaction UID before (§J.3.2.1.4, 0131H).

    The job is the caller's for `due_in_s`, then it is anybody's.
    """
    now = archive.now()
    return archive.registry.add_job(
        KIND,
        key(request),
        target=request.peer or request.ae_title,
        payload=to_json(request),
        at=now,
        due_at=now + timedelta(seconds=due_in_s),
    )


def retry_dead(archive: Archive) -> int:
    """Let every request wait again whose device could not be told; how many they were."""
    now = archive.now()
    dead = [job for job in archive.registry.jobs(KIND, limit=_ALL) if job.state == "dead"]
    for job in dead:
        archive.registry.renew_job(KIND, job.key, target=job.target, payload=job.payload, at=now, due_at=now)
    return len(dead)


def reported(job: Job, request: Request) -> Job:
    """The job once the device has heard."""
    outcome = "failures" if request.failures else "committed"
    metrics.COMMITMENTS.labels(outcome).inc()
    problem = f"{len(request.failures)} are not committed" if request.failures else ""
    return done(job, payload=to_json(request), problem=problem)


def key(request: Request) -> str:
    """What a job is known by: a Transaction UID is unique for its device."""
    return f"{request.site}/{request.ae_title}/{request.transaction_uid}"


def verify(archive: Archive, request: Request, *, asked_at: datetime, within_s: float) -> Request:
    """Decide what can be decided now. Stops after `within_s`, so that progress can be kept; then call again.

    A reference stays undecided while its bytes are on their way to the object store or that does not answer, for
    `commitment.wait_s` since it was asked about.
    """
    is_over = archive.now() - asked_at > timedelta(seconds=archive.settings.commitment.wait_s)
    disputed = {conflict.record.ref.sop_instance_uid for conflict in archive.index.conflicts(request.site)}
    deadline = monotonic() + within_s
    decided: list[Reference] = []
    for reference in request.references:
        if reference.verdict is None and (is_over or monotonic() < deadline):
            verdict = _verdict(archive, request.site, reference, disputed)
            if verdict is None and is_over:
                verdict = Failure.RESOURCE_LIMITATION
            reference = replace(reference, verdict=verdict)
        decided.append(reference)
    return replace(request, references=tuple(decided))


def to_json(request: Request) -> str:
    """The payload of a job."""
    references = [
        [reference.sop_class_uid, reference.sop_instance_uid, reference.verdict] for reference in request.references
    ]
    return orjson.dumps(
        {
            "transaction_uid": request.transaction_uid,
            "site": request.site,
            "peer": request.peer,
            "ae_title": request.ae_title,
            "called_ae_title": request.called_ae_title,
            "references": references,
        }
    ).decode()


def from_json(payload: str) -> Request:
    """The request of a job."""
    values = orjson.loads(payload)
    references = tuple(Reference(*reference) for reference in values.pop("references"))
    return Request(**values, references=references)


def _verdict(archive: Archive, site: str, reference: Reference, disputed: Set[str | None]) -> int | None:
    uid = reference.sop_instance_uid
    record = archive.index.instance_by_sop(site, uid)
    if record is None:
        return Failure.NO_SUCH_INSTANCE
    if record.sop_class_uid != reference.sop_class_uid:
        return Failure.CLASS_INSTANCE_CONFLICT
    if uid in disputed:
        return Failure.PROCESSING_FAILURE
    if record.location.store.startswith(LANDING):
        return None
    try:
        return COMMITTED if is_intact(archive, record) else Failure.PROCESSING_FAILURE
    except (NotFound, NotOnline, Unavailable):
        return None  # it moved since we looked, or the store is away: look again
    except StorageError:
        return Failure.PROCESSING_FAILURE
