"""The verb pull over a source that is made up: what is asked, how often, and what becomes of failures."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from bridge.archive import Archive
from bridge.pulling.pull import Planned, Pull
from bridge.pulling.remote import (
    Arrivals,
    Barred,
    Refused,
    RemoteInstance,
    RemoteSeries,
    RemoteStudy,
    TooMany,
    Unreachable,
)
from bridge.pulling.selection import Days, Selection
from bridge.settings import Pull as PullSettings
from bridge.settings import Settings
from storage.records import ResourceRef
from tests.bridge.archives import SERIES, STUDY, data_set, open_test_archive, receive

UIDS = [f"{SERIES}.{number}" for number in range(1, 7)]
MARCH = Days(date(2026, 3, 1), date(2026, 3, 31))
SETTINGS = PullSettings(instances_per_request=4, attempts=3, retry_s=0.0, parallel=2)


@dataclass
class MadeUp:
    """A source with one study of one CT series; `troubles` are raised one after the other, before or within a fetch."""

    archive: Archive
    count: int = 6
    told: int = 0  # how many instances it says the study has
    limit_days: int = 400  # of a question; more are too many
    name: str = "old"
    site: str = "default"
    never: tuple[str, ...] = ()  # instances that it announces, but does not send
    query_troubles: list[Exception] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fetched: list[tuple[list[str], bool, bool]] = field(default_factory=list)  # UIDs, whole series?, singly?
    lock: threading.Lock = field(default_factory=threading.Lock)

    def studies(self, selection: Selection, days: Days | None) -> Sequence[RemoteStudy]:
        self.asked.append(days.range if days else "any day")
        if self.query_troubles:
            raise self.query_troubles.pop(0)
        if days is not None and (days.last - days.first).days + 1 > self.limit_days:
            raise TooMany("status A700")
        if days is not None and not days.first <= date(2026, 3, 5) <= days.last:
            return []
        return [RemoteStudy(study_instance_uid=STUDY, instances=self.told)]

    def series(self, study: RemoteStudy) -> Sequence[RemoteSeries]:
        instances = tuple(RemoteInstance(sop_instance_uid=f"{SERIES}.{number + 1}") for number in range(self.count))
        one = RemoteSeries(study_instance_uid=STUDY, series_instance_uid=SERIES, modality="CT", instances=instances)
        return [one]

    def fetch(self, part: RemoteSeries, arrivals: Arrivals, *, singly: bool) -> None:
        uids = [one.sop_instance_uid for one in part.instances]
        with self.lock:
            self.fetched.append((uids, part.is_whole, singly))
            trouble = self.troubles.pop(0) if self.troubles else None
        for uid in uids[:1] if trouble else uids:
            if uid not in self.never:
                receive(self.archive, data_set(int(uid.rsplit(".", 1)[1])))
                arrivals.arrived()
        if trouble:
            raise trouble


@dataclass
class Counting:
    """A watcher that counts."""

    missing: int = 0
    here: int = 0

    def planned(self, study: Planned) -> None:
        self.missing += study.missing

    def arrived(self, count: int) -> None:
        self.here += count


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path, Settings(pull=SETTINGS))
    yield opened
    opened.close()


def pulled(source: MadeUp, selection: Selection = Selection(study=STUDY), **options: bool) -> Pull:  # noqa: B008
    """A run to its end."""
    pull = Pull(source.archive, source, Counting(), site="default", parallel=1, **options)
    pull.run(selection)
    return pull


def held(archive: Archive) -> list[str]:
    """The SOP Instance UIDs that are archived."""
    return sorted(one.ref.sop_instance_uid or "" for one in archive.index.instances(ResourceRef("default", STUDY)))


def test_a_study_arrives_in_parts(archive: Archive) -> None:
    source = MadeUp(archive)
    watcher = Counting()
    pull = Pull(archive, source, watcher, site="default", parallel=2)
    pull.run(Selection(study=STUDY))
    assert held(archive) == UIDS
    assert sorted(source.fetched) == [(UIDS[:4], False, False), (UIDS[4:], False, False)]
    assert (pull.summary.studies, pull.summary.fetched, pull.summary.failures) == (1, 6, {})
    assert (watcher.missing, watcher.here) == (6, 6)


def test_a_small_series_is_asked_for_as_a_whole(archive: Archive) -> None:
    source = MadeUp(archive, count=3)
    pulled(source)
    assert source.fetched == [(UIDS[:3], True, False)]


def test_what_is_archived_is_not_fetched(archive: Archive) -> None:
    receive(archive, data_set(2))
    source = MadeUp(archive, count=3)
    summary = pulled(source).summary
    assert source.fetched == [([UIDS[0], UIDS[2]], False, False)]
    assert (summary.archived, summary.fetched) == (1, 2)


def test_a_study_with_as_many_instances_here_is_not_looked_at(archive: Archive) -> None:
    receive(archive, data_set(9))
    source = MadeUp(archive, count=1, told=1)
    assert (pulled(source).summary.archived, source.fetched) == (1, [])
    assert pulled(source, thorough=True).summary.fetched == 1


def test_a_plan_fetches_nothing(archive: Archive) -> None:
    source = MadeUp(archive)
    (planned,) = Pull(archive, source, Counting(), site="default", parallel=1).plan(Selection(study=STUDY))
    assert (planned.missing, planned.archived, source.fetched) == (6, 0, [])


def test_only_series_of_the_wanted_modalities(archive: Archive) -> None:
    source = MadeUp(archive)
    assert pulled(source, Selection(study=STUDY, modalities=("MR",))).summary.studies == 0
    assert pulled(source, Selection(study=STUDY, modalities=("MR", "CT"))).summary.fetched == 6


def test_a_broken_fetch_goes_on_with_what_is_missing(archive: Archive) -> None:
    source = MadeUp(archive, count=3, troubles=[Unreachable("gone"), Unreachable("gone")])
    assert pulled(source).summary.failures == {}
    assert [uids for uids, _, _ in source.fetched] == [UIDS[:3], UIDS[1:3], UIDS[2:3]]
    assert [singly for _, _, singly in source.fetched] == [False, False, False]


def test_what_is_refused_together_is_asked_for_one_by_one(archive: Archive) -> None:
    source = MadeUp(archive, count=3, troubles=[Refused("no lists")])
    assert pulled(source).summary.fetched == 3
    assert [singly for _, _, singly in source.fetched] == [False, True]


def test_an_instance_that_never_comes_is_a_failure_with_a_reason(archive: Archive) -> None:
    source = MadeUp(archive, count=3, never=(UIDS[1],))
    summary = pulled(source).summary
    assert summary.failures == {f"instance {UIDS[1]}": "it was announced, but not sent"}
    assert (summary.fetched, len(source.fetched)) == (2, SETTINGS.attempts)


def test_a_source_that_stays_away_ends_the_run(archive: Archive) -> None:
    source = MadeUp(archive, count=3, never=tuple(UIDS), troubles=[Unreachable("gone")] * 9)
    with pytest.raises(Unreachable, match="gone"):
        pulled(source)
    assert len(source.fetched) == SETTINGS.attempts


def test_what_came_before_the_source_went_away_is_counted(archive: Archive) -> None:
    source = MadeUp(archive, count=3, never=(UIDS[2],), troubles=[Unreachable("gone")] * 9)
    watcher = Counting()
    pull = Pull(archive, source, watcher, site="default", parallel=1)
    with pytest.raises(Unreachable):
        pull.run(Selection(study=STUDY))
    assert (pull.summary.fetched, watcher.here, pull.summary.failures, held(archive)) == (2, 2, {}, UIDS[:2])


def test_what_only_a_setting_can_change_ends_the_run_at_once(archive: Archive) -> None:
    source = MadeUp(archive, count=3, troubles=[Barred("no C-GET")])
    with pytest.raises(Barred):
        pulled(source)
    assert len(source.fetched) == 1


def test_questions_are_asked_again_while_the_source_is_away(archive: Archive) -> None:
    source = MadeUp(archive, query_troubles=[Unreachable("away")] * 2)
    assert pulled(source).summary.fetched == 6
    with pytest.raises(Unreachable, match="away"):
        pulled(replace(source, query_troubles=[Unreachable("away")] * SETTINGS.attempts))


def test_a_window_that_is_too_large_is_halved(archive: Archive) -> None:
    source = MadeUp(archive, limit_days=8)
    assert pulled(source, Selection(days=MARCH)).summary.fetched == 6
    assert source.asked[:4] == ["20260301-20260330", "20260301-20260315", "20260301-20260308", "20260309-20260315"]
    assert source.asked[-1] == "20260331"


def test_a_day_that_is_too_large_is_a_failure_and_the_others_go_on(archive: Archive) -> None:
    source = MadeUp(archive, limit_days=0)
    summary = pulled(source, Selection(days=Days(MARCH.first, date(2026, 3, 2)))).summary
    assert list(summary.failures) == ["studies of 20260301", "studies of 20260302"]
    assert "narrow it with --modality" in summary.failures["studies of 20260301"]


def test_an_answer_of_a_suspicious_length_is_halved(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, Settings(pull=replace(SETTINGS, answers_limit=1)))
    try:
        source = MadeUp(archive)
        assert list(pulled(source, Selection(days=MARCH)).summary.failures) == ["studies of 20260305"]
    finally:
        archive.close()
