"""The verb pull: ask for studies, leave out what is archived, fetch the rest in parts until nothing is missing.

What is missing is looked up in the archive before every try, so a try that broke in the middle costs only what had not
come, and a run that was killed goes on where it was. A source that stays away ends the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from bridge.archive import Archive
from bridge.pulling.remote import Arrivals, Refused, RemoteSeries, RemoteStudy, Source, TooMany, Unreachable
from bridge.pulling.selection import Days, Selection
from bridge.search import search
from storage.query import Criterion, Query, Single
from storage.records import Level

_STUDY_INSTANCE_UID = (0x0020000D,)
_COUNT = "NumberOfStudyRelatedInstances"
_DOUBLINGS = 32  # of a pause; more would be no number any more
_PARTS_AHEAD = 2  # a thread, waiting for it
T = TypeVar("T")


class Stopped(Exception):
    """The run is being ended; nothing is asked any more."""


class Watcher(Protocol):
    """Hears how a run goes, from any thread."""

    def planned(self, study: Planned) -> None:
        """A study was looked at."""
        ...

    def arrived(self, count: int) -> None:
        """So many more instances are archived; negative when some had been counted too early."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A study there, how much of it is archived, and the parts that are missing."""

    study: RemoteStudy
    archived: int
    parts: tuple[RemoteSeries, ...] = ()

    @property
    def missing(self) -> int:
        """Instances to fetch."""
        return sum(len(part.instances) for part in self.parts)


@dataclass(slots=True)
class Summary:
    """How a run ended. `failures`: what -> why."""

    studies: int = 0
    archived: int = 0  # instances that were here before
    fetched: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Pull:
    """One run. `thorough`: a study with as many instances here as there is compared all the same."""

    def __init__(
        self, archive: Archive, source: Source, watcher: Watcher, *, site: str, parallel: int, thorough: bool = False
    ) -> None:
        self._archive = archive
        self._source = source
        self._watcher = watcher
        self._site = site
        self._parallel = parallel
        self._thorough = thorough
        self._settings = archive.settings.pull
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.summary = Summary()

    def stop(self) -> None:
        """Ask nothing more; waits between two tries end."""
        self._stop.set()

    def plan(self, selection: Selection) -> Iterator[Planned]:
        """Every selected study with what is missing of it.

        Raises Barred, and Unreachable or Refused when the studies cannot be asked for; StorageError, BridgeError.
        """
        seen: set[str] = set()  # a study that two windows find is one study
        for study in self._studies(selection):
            if study.study_instance_uid not in seen:
                seen.add(study.study_instance_uid)
                planned = self._planned(study, selection)
                if planned is not None:
                    self.summary.studies += 1
                    self.summary.archived += planned.archived
                    self._watcher.planned(planned)
                    yield planned

    def run(self, selection: Selection) -> None:
        """Fetch what is missing; `summary` tells how it went. Raises as `plan`, once everything begun has ended."""
        pending: set[Future[None]] = set()
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="pull") as pool:
            try:
                for planned in self.plan(selection):
                    for part in planned.parts:
                        pending.add(pool.submit(self._fetch, part))
                        if len(pending) >= self._parallel * (1 + _PARTS_AHEAD):
                            pending = _settled(pending, FIRST_COMPLETED)
                while pending:
                    pending = _settled(pending, FIRST_COMPLETED)
            except BaseException:
                self.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _studies(self, selection: Selection) -> Iterator[RemoteStudy]:
        if selection.days is None:
            yield from self._patiently(lambda: self._source.studies(selection, None))
            return
        for window in selection.days.windows(self._settings.window_days):
            yield from self._studies_of(selection, window)

    def _studies_of(self, selection: Selection, window: Days) -> Iterator[RemoteStudy]:
        """Halved, down to a day, while the source answers only a part."""
        left = [window]
        while left:
            days = left.pop()
            try:
                found = self._patiently(lambda days=days: self._source.studies(selection, days))  # type: ignore[misc]
                if self._settings.answers_limit and len(found) >= self._settings.answers_limit:
                    raise TooMany(f"{len(found)} studies, which is pull.answers_limit")
            except TooMany as error:
                halves = days.halves()
                if halves is None:
                    self._failed(f"studies of {days.range}", f"{error}; narrow it with --modality or --patient")
                    continue
                left += reversed(halves)
                continue
            yield from found

    def _planned(self, study: RemoteStudy, selection: Selection) -> Planned | None:
        """None for a study that the source cannot tell more of, or that has no series of the wanted modalities."""
        if study.instances and not self._thorough and self._count(study) == study.instances:
            return Planned(study, study.instances)
        try:
            found = self._patiently(lambda: self._source.series(study))
        except Refused as error:
            self._failed(f"study {study.study_instance_uid}", str(error))
            return None
        wanted = [one for one in found if not selection.modalities or one.modality in selection.modalities]
        missing = [self._missing(one) for one in wanted]
        parts = tuple(part for one in missing for part in self._cut(one))
        there = sum(len(one.instances) for one in wanted)
        return Planned(study, there - sum(len(one.instances) for one in missing), parts) if wanted else None

    def _count(self, study: RemoteStudy) -> int:
        """The instances of a study that are archived."""
        criterion = Criterion(_STUDY_INSTANCE_UID, "UI", Single(study.study_instance_uid))
        page = search(self._archive, Query(site=self._site, level=Level.STUDY, criteria=(criterion,)))
        return sum(int(found.attributes.get(_COUNT, "0")) for found in page.found)

    def _missing(self, part: RemoteSeries) -> RemoteSeries:
        """What of it is not archived."""
        instance_by_sop = self._archive.index.instance_by_sop
        missing = [one for one in part.instances if instance_by_sop(self._site, one.sop_instance_uid) is None]
        is_whole = part.is_whole and len(missing) == len(part.instances)
        return replace(part, instances=tuple(missing), is_whole=is_whole)

    def _cut(self, series: RemoteSeries) -> Iterator[RemoteSeries]:
        """In parts that one request asks for."""
        size = self._settings.instances_per_request
        if len(series.instances) <= size:
            if series.instances:
                yield series
            return
        for start in range(0, len(series.instances), size):
            yield replace(series, instances=series.instances[start : start + size], is_whole=False)

    def _fetch(self, part: RemoteSeries) -> None:
        """Try until nothing is missing or nothing more comes. Raises Unreachable when the source stays away."""
        arrivals = _PartArrivals(self._watcher)
        missing, failures, problem, is_away = part, 0, "", False
        while missing.instances and failures < self._settings.attempts:
            if failures:
                self._pause(failures)
            problem, is_away = self._try(missing, arrivals, singly=failures > 0 and not is_away)
            before, missing = missing, _without(self._missing(missing), arrivals.reasons)
            failures = 0 if is_away and len(missing.instances) < len(before.instances) else failures + 1
        self._account(part, arrivals, dict.fromkeys(_uids(missing), problem), is_away=is_away)
        if missing.instances and is_away:
            raise Unreachable(problem)

    def _try(self, part: RemoteSeries, arrivals: Arrivals, *, singly: bool) -> tuple[str, bool]:
        """(why something may be missing afterwards, whether the source is away)."""
        try:
            self._source.fetch(part, arrivals, singly=singly)
        except Refused as error:
            return str(error), False
        except Unreachable as error:
            return str(error), True
        return "it was announced, but not sent", False

    def _account(self, part: RemoteSeries, arrivals: _PartArrivals, missing: dict[str, str], *, is_away: bool) -> None:
        """Enter what became of a part; what a C-MOVE counted as sent need not be archived, so that is put right.

        What is missing because the source is away is no failure: the next run fetches it.
        """
        fetched = len(part.instances) - len({*missing, *arrivals.reasons} & {*_uids(part)})
        self._watcher.arrived(fetched - arrivals.count)
        with self._lock:
            self.summary.fetched += fetched
        for uid, reason in {**({} if is_away else missing), **arrivals.reasons}.items():
            self._failed(f"instance {uid}", reason)

    def _patiently(self, question: Callable[[], T]) -> T:
        """The answer, asked for `pull.attempts` times while the source is away. Raises Unreachable or Refused."""
        failures = 0
        while True:
            try:
                return question()
            except Unreachable:
                failures += 1
                if failures >= self._settings.attempts:
                    raise
            self._pause(failures)

    def _pause(self, failures: int) -> None:
        """Raises Stopped when the run ends meanwhile."""
        wait_s = min(self._settings.retry_s * 2.0 ** min(failures - 1, _DOUBLINGS), self._settings.retry_max_s)
        if self._stop.wait(wait_s):
            raise Stopped

    def _failed(self, what: str, why: str) -> None:
        with self._lock:
            self.summary.failures[what] = why


class _PartArrivals:
    """What came of one part; passes it on."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.count = 0
        self.reasons: dict[str, str] = {}

    def arrived(self, count: int = 1) -> None:
        """See Arrivals."""
        self.count += count
        self._watcher.arrived(count)

    def refused(self, sop_instance_uid: str, reason: str) -> None:
        """See Arrivals."""
        self.reasons[sop_instance_uid] = reason


def _uids(part: RemoteSeries) -> list[str]:
    return [one.sop_instance_uid for one in part.instances]


def _without(part: RemoteSeries, refused: dict[str, str]) -> RemoteSeries:
    kept = tuple(one for one in part.instances if one.sop_instance_uid not in refused)
    return replace(part, instances=kept, is_whole=part.is_whole and not refused)


def _settled(pending: set[Future[None]], when: str) -> set[Future[None]]:
    """Those that go on once one has ended. Raises what an ended one raised."""
    done, going_on = wait(pending, return_when=when)
    for future in done:
        future.result()
    return going_on
