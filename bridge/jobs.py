"""Jobs: work that the index keeps, so that it outlives whoever took it on. Back-off and the end of patience."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from storage.index.registry import Job

__all__ = ["Job", "done", "failed", "later"]


def later(job: Job, *, payload: str, at: datetime, in_s: float, problem: str = "") -> Job:
    """The job to be looked at again; nothing has failed."""
    return replace(job, payload=payload, due_at=at + timedelta(seconds=in_s), problem=problem)


def failed(job: Job, problem: str, *, at: datetime, attempts: int, retry_s: float, retry_max_s: float) -> Job:
    """The job after an attempt in vain: again after a pause that doubles each time, dead after `attempts`."""
    count = job.attempts + 1
    pause_s = min(retry_s * 2.0 ** min(job.attempts, 62), retry_max_s)
    return replace(
        job,
        attempts=count,
        problem=problem,
        state="dead" if count >= attempts else job.state,
        due_at=at + timedelta(seconds=pause_s),
    )


def done(job: Job, *, payload: str, problem: str = "") -> Job:
    """The job at its end."""
    return replace(job, state="done", payload=payload, problem=problem)
