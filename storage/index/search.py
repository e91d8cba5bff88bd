"""One page of a search, in the order of DICOM.md Q17, and the exact number of results left after it.

Two ways to an answer. Where an index names few candidates, those are read and sorted. Where a search finds much,
studies are read in the order of the answer (newest first) until the page is full. Which one is decided by fetching at
most a bounded number of candidates. Totals come from counters, from what was read, or from a count that is kept until
a change.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.expression import FromClause

from storage.attributes import ATTRIBUTES
from storage.errors import InvalidQuery
from storage.index.conditions import DEPTH, TABLES, Candidates, Condition
from storage.index.database import Database, Prepared, Session
from storage.index.matching import Matching
from storage.index.schema import instance, series, site, study
from storage.index.sql import Among, at
from storage.query import Found, Page, Query
from storage.records import Level, ResourceRef

FEW = {Level.STUDY: (500, 5000), Level.SERIES: (50, 200), Level.INSTANCE: (10, 20)}  # candidates worth sorting
COUNTS_KEPT = 4096
PAGES_KEPT = 64
STATEMENTS_KEPT = 1024
PAGE_ROWS_KEPT = 200  # larger answers are not kept
_ORDER: dict[Level, tuple[Any, ...]] = {
    Level.STUDY: (study.c.moment.desc(), study.c.study_instance_uid),
    Level.SERIES: (series.c.series_number_key, series.c.series_instance_uid),
    Level.INSTANCE: (instance.c.instance_number_key, instance.c.sop_instance_uid),
}
_ABOVE = {level: [one for one in Level if DEPTH[one] <= DEPTH[level]] for level in Level}


@dataclass(frozen=True, slots=True)
class _Site:
    row: int
    counts: dict[Level, int]
    seq: int
    shape_seq: int


_NOWHERE = _Site(0, dict.fromkeys(Level, 0), 0, 0)
T = TypeVar("T")


class Search:
    """Searches, and the totals it remembers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._totals = _Memory[int](COUNTS_KEPT)
        self._pages = _Memory[Page](PAGES_KEPT)
        self._statements: dict[object, Prepared] = {}

    def page(self, query: Query) -> Page:
        """Raises InvalidQuery for criteria the index cannot answer."""
        if query.limit < 0 or query.offset < 0:
            raise InvalidQuery("limit and offset are not negative")
        return self._database.read(lambda session: self._answer(session, query), snapshot=True)

    def _answer(self, session: Session, query: Query) -> Page:
        row = session.row(_SITE, {"at_name": query.site})
        here = _Site(row[0], dict(zip(Level, row[1:4], strict=True)), row[4], row[5]) if row else _NOWHERE
        known = self._pages.get(query, here.seq)
        if known is None:
            known = _Run(self._database, session, query, here, self._totals, self._statements).page()
            if len(known.found) <= PAGE_ROWS_KEPT:
                self._pages.put(query, here.seq, known)
        return known


class _Memory(Generic[T]):
    """Answers that hold until the site changes, the latest used ones."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[object, tuple[int, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object, version: int) -> T | None:
        """What was kept under this key at this version of the site."""
        with self._lock:
            known = self._kept.get(key)
            if known is None or known[0] != version:
                return None
            self._kept.move_to_end(key)
            return known[1]

    def put(self, key: object, version: int, answer: T) -> None:
        """Keep an answer; the least used go."""
        with self._lock:
            self._kept[key] = (version, answer)
            self._kept.move_to_end(key)
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)


class _Run:
    """One search."""

    def __init__(
        self,
        database: Database,
        session: Session,
        query: Query,
        here: _Site,
        totals: _Memory[int],
        statements: dict[object, Prepared],
    ) -> None:
        self._here = here
        self._totals = totals
        self._statements = statements  # compiled ones, by the shape of the search and their purpose
        self._shape: tuple[object, ...] = ()
        self._database = database
        self._session = session
        self._query = query
        self._conditions: list[Condition] = []
        self._parameters: dict[str, Any] = {}
        self._wide: tuple[int, Candidates] | None = None  # too many to sort, but fewer than all: for counting

    def page(self) -> Page:
        query, here = self._query, self._here
        self._conditions = self._plan(here.row)
        if here is _NOWHERE or (query.scope is not None and query.scope.site != query.site):
            return Page([], 0, here.seq)
        driver = self._driver(here)
        if driver is not None and query.level is Level.STUDY:
            ids = self._ids(driver, paged=False)
            total = len(ids)
            ids = ids[query.offset : query.offset + query.limit]
        else:
            ids = self._ids(driver, paged=True) if query.limit else []
            total = self._total(here, driver, len(ids))
        return Page(self._fetch(ids), max(0, total - query.offset - len(ids)), here.seq)

    def _plan(self, site_row: int) -> list[Condition]:
        matching = Matching(self._session, site_row)
        conditions = [matching.criterion(criterion) for criterion in self._query.criteria]
        conditions += [matching.interval(interval) for interval in self._query.intervals]
        scope = self._query.scope
        if scope is not None:
            conditions.append(matching.uid(study, "study_instance_uid", scope.study_instance_uid))
            if scope.series_instance_uid is not None:
                conditions.append(matching.uid(series, "series_instance_uid", scope.series_instance_uid))
            if scope.sop_instance_uid is not None:
                conditions.append(matching.uid(instance, "sop_instance_uid", scope.sop_instance_uid))
        if any(DEPTH[condition.level] > DEPTH[self._query.level] for condition in conditions):
            raise InvalidQuery("a key is below the level of the search")
        self._parameters = matching.parameters
        self._shape = (self._query.level, *matching.shape)
        return conditions

    def _driver(self, here: _Site) -> tuple[Candidates, list[int]] | None:
        """The candidates to begin with, if some are few."""
        low, high = FEW[self._query.level]
        need = self._query.offset + self._query.limit
        bound = min(high, max(low, math.isqrt(need * here.counts[Level.STUDY])))
        best: tuple[Candidates, list[int]] | None = None
        everyone = (one for condition in self._conditions for one in condition.candidates)
        for number, candidates in enumerate(everyone):
            statement = self._prepared(("candidates", number), candidates.bounded)
            rows = self._session.rows(statement, {**self._parameters, "bound": bound + 1})
            if len(rows) <= bound:
                best = (candidates, sorted({row for (row,) in rows}))
                bound = len(rows) - 1
                if bound < 20:
                    break
            elif self._wide is None:
                self._wide = (number, candidates)
        return best

    def _ids(self, driver: tuple[Candidates, list[int]] | None, *, paged: bool) -> list[int]:
        """Rows of the page's resources, in order."""
        parameters = dict(self._parameters)
        if paged:
            parameters.update(limit=self._query.limit, offset=self._query.offset)
        if driver is not None:
            parameters["ids"] = self._session.listing(driver[1])
        purpose = ("ids", driver and driver[0].table.name, paged)
        statement = self._prepared(purpose, lambda: self._in_order(driver, paged=paged))
        return [row for (row,) in self._session.rows(statement, parameters)]

    def _in_order(self, driver: tuple[Candidates, list[int]] | None, *, paged: bool) -> Select[Any]:
        level = self._query.level
        statement = self._matching(TABLES[level].c.id, driver, joined=level)
        for one in _ABOVE[level]:
            statement = statement.order_by(*_ORDER[one])
        return statement.limit(bindparam("limit")).offset(bindparam("offset")) if paged else statement

    def _prepared(self, purpose: tuple[object, ...], build: Callable[[], ClauseElement]) -> Prepared:
        """The compiled statement of this shape and purpose."""
        return self._kept((self._shape, purpose), build)

    def _kept(self, key: object, build: Callable[[], ClauseElement]) -> Prepared:
        known = self._statements.get(key)
        if known is None:
            if len(self._statements) >= STATEMENTS_KEPT:
                self._statements.clear()
            known = self._statements[key] = self._database.compiled(build())
        return known

    def _total(self, here: _Site, driver: tuple[Candidates, list[int]] | None, on_page: int) -> int:
        query = self._query
        if not self._conditions:
            return here.counts[query.level]
        if on_page < query.limit and (on_page or not query.offset):
            return query.offset + on_page
        key = (query.site, query.level, query.criteria, query.intervals, query.scope)
        version = here.shape_seq if query.level is Level.STUDY else here.seq
        total = self._totals.get(key, version)
        if total is None:
            total = self._count(driver)
            self._totals.put(key, version, total)
        return total

    def _count(self, driver: tuple[Candidates, list[int]] | None) -> int:
        """Count on the highest level that has all the keys: studies know how much is below them."""
        parameters = dict(self._parameters)
        if driver is not None:
            parameters["ids"] = self._session.listing(driver[1])
        purpose = ("count", driver and driver[0].table.name, driver is None and self._wide and self._wide[0])
        statement = self._prepared(purpose, lambda: self._counting(driver))
        return int(self._session.rows(statement, parameters)[0][0])

    def _counting(self, driver: tuple[Candidates, list[int]] | None) -> Select[Any]:
        level = self._query.level
        deepest = max((condition.level for condition in self._conditions), key=lambda one: DEPTH[one])
        if driver is not None:
            deepest = max(deepest, _level_of(driver[0]), key=lambda one: DEPTH[one])
        counted: Any = func.count()
        if DEPTH[deepest] < DEPTH[level]:
            column = "series_count" if level is Level.SERIES else "instance_count"
            counted = func.coalesce(func.sum(TABLES[deepest].c[column]), 0)
        statement = self._matching(counted, driver, joined=deepest)
        if driver is None and self._wide is not None:
            wide = self._wide[1]
            statement = statement.where(wide.table.c.id.in_(wide.query))
        return statement

    def _matching(self, column: Any, driver: tuple[Candidates, list[int]] | None, *, joined: Level) -> Select[Any]:
        statement = select(column).select_from(_JOINED[joined])
        # A sum hides the column from SQLite's planner, which would read all studies in order rather than sort a few.
        in_site = study.c.site_id if driver is None else study.c.site_id + 0
        statement = statement.where(in_site == bindparam("site_id", type_=study.c.site_id.type))
        for condition in self._conditions:
            statement = statement.where(condition.predicate)
        if driver is not None:
            statement = statement.where(Among(driver[0].table.c.id, "ids"))
        return statement

    def _fetch(self, ids: Sequence[int]) -> list[Found]:
        if not ids:
            return []
        columns = _columns(self._query.level, self._query.wanted)
        statement = self._kept(columns, columns.statement)
        rows = self._session.rows(statement, {"ids": self._session.listing(ids)})
        found = {row[0]: columns.found(self._query.site, row) for row in rows}
        return [found[row] for row in ids]


def _level_of(candidates: Candidates) -> Level:
    return next(level for level, table in TABLES.items() if table is candidates.table)


_JOINED: dict[Level, FromClause] = {
    Level.STUDY: study,
    Level.SERIES: study.join(series, series.c.study_row == study.c.id),
    Level.INSTANCE: study.join(series, series.c.study_row == study.c.id).join(
        instance, instance.c.series_row == series.c.id
    ),
}
_SITE = select(site.c.id, site.c.studies, site.c.series, site.c.instances, site.c.seq, site.c.shape_seq).where(
    at(site, "name")
)

# What is fetched of a row of each level: (keyword, column); counts and lists are computed columns of the same tables.
_COMPUTED_COLUMNS = {
    Level.STUDY: (
        ("ModalitiesInStudy", study.c.modalities),
        ("SOPClassesInStudy", study.c.sop_classes),
        ("NumberOfStudyRelatedSeries", study.c.series_count),
        ("NumberOfStudyRelatedInstances", study.c.instance_count),
    ),
    Level.SERIES: (("NumberOfSeriesRelatedInstances", series.c.instance_count),),
    Level.INSTANCE: (("AvailableTransferSyntaxUID", instance.c.transfer_syntax_uid),),
}
_COLUMNS = {
    level: [
        (keyword, column)
        for one in _ABOVE[level]
        for keyword, column in (
            *((a.keyword, TABLES[one].c[a.column]) for a in ATTRIBUTES if a.level is one),
            *_COMPUTED_COLUMNS[one],
        )
    ]
    for level in Level
}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class _Columns:
    """What is fetched of a resource, by keyword."""

    level: Level
    keywords: tuple[str, ...]
    uids: tuple[int, ...]  # where those of the reference are among them

    def statement(self) -> Select[Any]:
        """The rows whose ids are given."""
        own, known = TABLES[self.level], dict(_COLUMNS[self.level])
        columns = [known[keyword].label(f"c{number}") for number, keyword in enumerate(self.keywords)]
        rows = select(own.c.id, own.c.revision, study.c.cold_count, *columns).select_from(_JOINED[self.level])
        return rows.where(Among(own.c.id, "ids"))

    def found(self, site_name: str, row: tuple[Any, ...]) -> Found:
        """A row of the statement."""
        texts = row[3:]
        attributes = {
            keyword: text if text.__class__ is str else str(text)
            for keyword, text in zip(self.keywords, texts, strict=True)
            if text is not None and text != ""
        }
        attributes["InstanceAvailability"] = "NEARLINE" if row[2] else "ONLINE"
        ref = ResourceRef(site_name, *[texts[position] for position in self.uids])
        return Found(ref=ref, attributes=attributes, revision=row[1])


@lru_cache(maxsize=256)
def _columns(level: Level, wanted: tuple[str, ...] | None) -> _Columns:
    own = _UIDS[: DEPTH[level] + 1]
    keywords = tuple(one for one, _ in _COLUMNS[level] if wanted is None or one in wanted or one in own)
    return _Columns(level, keywords, tuple(keywords.index(uid) for uid in own))
