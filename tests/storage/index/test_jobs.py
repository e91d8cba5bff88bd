"""What `storage.index.registry.Registry` promises about jobs, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from storage.index import SqlIndex
from storage.index.registry import Job
from tests.storage.index.building import MORNING

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def add(index: SqlIndex, key: str, *, kind: str = "report", due_at: datetime = MORNING) -> Job | None:
    """Take on a job."""
    return index.add_job(kind, key, target="ct-1", payload='{"n": 1}', at=MORNING, due_at=due_at)


def claim(index: SqlIndex, *, now: datetime = MORNING, limit: int = 10, kind: str = "report") -> list[Job]:
    """Claim for a minute."""
    return list(index.claim_jobs(kind, now=now, until=now + MINUTE, limit=limit))


def test_a_job_is_taken_on_once_per_kind_and_key(index: SqlIndex) -> None:
    assert add(index, "1")
    assert not add(index, "1")
    assert add(index, "1", kind="other")
    assert len(index.jobs("report", limit=10)) == 1


def test_of_many_who_bring_the_same_job_one_is_heard(index: SqlIndex) -> None:
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda _: add(index, "1"), range(8)))
    assert heard.count(None) == 7


def test_due_jobs_are_claimed_the_longest_overdue_first(index: SqlIndex) -> None:
    for key, due_at in (("late", MORNING + HOUR), ("second", MORNING), ("first", MORNING - MINUTE)):
        assert add(index, key, due_at=due_at)
    assert [job.key for job in claim(index, limit=1)] == ["first"]
    assert [job.key for job in claim(index)] == ["second"]
    assert claim(index) == []


def test_a_claim_that_runs_out_is_free_again_and_its_late_holder_writes_nothing(index: SqlIndex) -> None:
    assert add(index, "1")
    [first] = claim(index)
    assert (first.due_at, first.target, first.payload, first.state) == (MORNING + MINUTE, "ct-1", '{"n": 1}', "waiting")
    [second] = claim(index, now=MORNING + 2 * MINUTE)
    assert not index.settle_job(first, replace(first, state="done"))
    assert index.settle_job(second, replace(second, state="done"))
    assert not index.settle_job(second, replace(second, state="dead"))
    assert [job.state for job in index.jobs("report", limit=10)] == ["done"]


def test_no_job_is_claimed_twice_at_once(index: SqlIndex) -> None:
    for number in range(20):
        assert add(index, str(number))
    with ThreadPoolExecutor(8) as pool:
        claimed = [job.key for jobs in pool.map(lambda _: claim(index, limit=3), range(8)) for job in jobs]
    assert sorted(claimed, key=int) == [str(number) for number in range(20)]


def test_a_job_that_failed_waits_for_its_next_turn(index: SqlIndex) -> None:
    assert add(index, "1")
    [job] = claim(index)
    again = replace(job, attempts=1, problem="nobody answers", payload='{"n": 2}', due_at=MORNING + HOUR)
    assert index.settle_job(job, again)
    assert claim(index, now=MORNING + 2 * MINUTE) == []
    [seen] = index.jobs("report", limit=10)
    assert seen == again
    assert [job.key for job in claim(index, now=MORNING + HOUR)] == ["1"]


def test_old_jobs_are_forgotten_unless_they_wait(index: SqlIndex) -> None:
    for key in ("waits", "ended"):
        assert add(index, key)
    ended = next(job for job in claim(index) if job.key == "ended")
    assert index.settle_job(ended, replace(ended, state="dead"))
    assert index.forget_jobs("report", before=MORNING) == 0
    assert index.forget_jobs("report", before=MORNING + MINUTE) == 1
    assert [job.key for job in index.jobs("report", limit=10)] == ["waits"]


def test_a_renewed_job_waits_anew_with_the_payload_that_it_has(index: SqlIndex) -> None:
    renew(index, '{"n": 1}', MORNING)
    [job] = claim(index)
    assert index.settle_job(job, replace(job, payload='{"n": 2}', state="dead", attempts=9, problem="refused"))
    renew(index, '{"n": 3}', MORNING + HOUR)
    assert claim(index) == []
    [job] = claim(index, now=MORNING + HOUR)
    assert (job.payload, job.state, job.attempts, job.problem) == ('{"n": 2}', "waiting", 0, "")


def test_renewing_a_waiting_job_puts_it_off(index: SqlIndex) -> None:
    renew(index, "{}", MORNING)
    renew(index, "{}", MORNING + HOUR)
    assert claim(index) == []
    assert len(claim(index, now=MORNING + HOUR)) == 1


def test_a_job_is_found_by_kind_and_key(index: SqlIndex) -> None:
    add(index, "1")
    found = index.job("report", "1")
    assert found is not None
    assert found.target == "ct-1"
    assert index.job("report", "2") is None
    assert index.job("letter", "1") is None


def renew(index: SqlIndex, payload: str, due_at: datetime) -> None:
    index.renew_job("report", "1", target="ct-1", payload=payload, at=MORNING, due_at=due_at)


def test_whoever_takes_on_a_job_for_later_may_settle_it_until_then(index: SqlIndex) -> None:
    mine = add(index, "1", due_at=MORNING + MINUTE)
    assert mine is not None
    assert claim(index) == []
    assert index.settle_job(mine, replace(mine, state="done"))
    assert claim(index, now=MORNING + HOUR) == []
