"""Jobs: work that outlives a process. Each function is one transaction; the words are in registry.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, text, update

from storage.index.changes import LOCK
from storage.index.database import Session
from storage.index.registry import Job
from storage.index.schema import job
from storage.index.sql import Among, at, settable, words
from storage.index.values import cleaned, microseconds, moment

WAITING = "waiting"


def add(
    session: Session, kind: str, key: str, target: str, payload: str, created_at: datetime, due_at: datetime
) -> Job | None:
    """Take on work that is not taken on already."""
    session.rows(LOCK)  # two at once would not see each other's row
    if session.row(_KNOWN, {"at_kind": kind, "at_key": key}) is not None:
        return None
    session.run(
        _ADD,
        {
            "kind": kind,
            "key": key,
            "target": target,
            "payload": payload,
            "state": WAITING,
            "attempts": 0,
            "problem": "",
            "created_at": microseconds(created_at),
            "due_at": microseconds(due_at),
        },
    )
    return find(session, kind, key)


def due(session: Session, kind: str, now: datetime, limit: int) -> list[Job]:
    """Waiting jobs that are due, the longest overdue first."""
    return [_job(row) for row in session.rows(_DUE, {"at_kind": kind, "now": microseconds(now), "most": limit})]


def renew(
    session: Session, kind: str, key: str, target: str, payload: str, created_at: datetime, due_at: datetime
) -> None:
    """Take on work; what is taken on already waits again, from the beginning, with the payload that it has."""
    if not add(session, kind, key, target, payload, created_at, due_at):
        session.run(_RENEW, {"at_kind": kind, "at_key": key, "due_at": microseconds(due_at)})


def find(session: Session, kind: str, key: str) -> Job | None:
    """The job of that kind and key."""
    row = session.row(_KNOWN, {"at_kind": kind, "at_key": key})
    return None if row is None else _job(row)


def claim(session: Session, kind: str, now: datetime, until: datetime, limit: int) -> list[Job]:
    """Waiting jobs that are due, kept from others until that time."""
    session.rows(LOCK)
    found = due(session, kind, now, limit)
    if not found:
        return []
    session.run(_CLAIM, {"rows": session.listing([one.job_id for one in found]), "due_at": microseconds(until)})
    claimed = session.rows(_CLAIMED, {"rows": session.listing([one.job_id for one in found])})
    return [_job(row) for row in claimed]


def settle(session: Session, claimed: Job, became: Job) -> bool:
    """Write what became of a claimed job, unless the claim ran out and another one has it."""
    return (
        session.run(
            _SETTLE,
            {
                "at_id": claimed.job_id,
                "claimed_until": microseconds(claimed.due_at),
                "payload": became.payload,
                "state": became.state,
                "attempts": became.attempts,
                "problem": cleaned(became.problem),
                "due_at": microseconds(became.due_at),
            },
        )
        == 1
    )


def latest(session: Session, kind: str, limit: int) -> list[Job]:
    """Jobs of a kind, latest first."""
    return [_job(row) for row in session.rows(_LATEST, {"at_kind": kind, "most": limit})]


def forget(session: Session, kind: str, before: datetime) -> int:
    """Forget old ones that wait no more."""
    return session.run(_FORGET, {"at_kind": kind, "before": microseconds(before)})


def _job(row: tuple[Any, ...]) -> Job:
    job_id, kind, key, target, payload, state, attempts, problem, created_at, due_at = row
    return Job(
        job_id=job_id,
        kind=kind,
        key=key,
        target=target,
        payload=payload,
        state=state,
        attempts=attempts,
        problem=problem,
        created_at=moment(created_at),
        due_at=moment(due_at),
    )


_ADD = insert(job).values(settable(job, *(column.name for column in job.c if column.name != "id")))
_KNOWN = select(job).where(at(job, "kind", "key"))
_RENEW = (
    update(job)
    .values(settable(job, "due_at"))
    .values(state=words(WAITING), attempts=text("0"), problem=words(""))
    .where(at(job, "kind", "key"))
)
_DUE = (
    select(job)
    .where(at(job, "kind"), job.c.state == words(WAITING), job.c.due_at <= bindparam("now", type_=job.c.due_at.type))
    .order_by(job.c.due_at, job.c.id)
    .limit(bindparam("most"))
)
_CLAIM = update(job).values(settable(job, "due_at")).where(Among(job.c.id, "rows"))
_CLAIMED = select(job).where(Among(job.c.id, "rows")).order_by(job.c.id)
_SETTLE = (
    update(job)
    .values(settable(job, "payload", "state", "attempts", "problem", "due_at"))
    .where(
        at(job, "id"),
        job.c.state == words(WAITING),
        job.c.due_at == bindparam("claimed_until", type_=job.c.due_at.type),
    )
)
_LATEST = select(job).where(at(job, "kind")).order_by(job.c.id.desc()).limit(bindparam("most"))
_FORGET = delete(job).where(
    at(job, "kind"),
    job.c.state != words(WAITING),
    job.c.created_at < bindparam("before", type_=job.c.created_at.type),
)
