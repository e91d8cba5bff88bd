"""What a criterion becomes: a condition on one row, and candidates, where an index can name the rows that may match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, Table, bindparam, select, union

from storage.index.schema import instance, series, study
from storage.records import Level

TABLES: dict[Level, Table] = {Level.STUDY: study, Level.SERIES: series, Level.INSTANCE: instance}
DEPTH = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}


@dataclass(frozen=True, slots=True)
class Candidates:
    """Ids of `table` among which every match is."""

    table: Table
    queries: tuple[Select[Any], ...]  # each of one column of ids

    @property
    def query(self) -> Any:
        """All of them as one."""
        return self.queries[0] if len(self.queries) == 1 else union(*self.queries)

    def bounded(self) -> Any:
        """At most `bound` ids. Several queries stop at it each; their union would be made whole before it is cut."""
        bound: BindParameter[int] = bindparam("bound")
        if len(self.queries) == 1:
            return self.query.limit(bound)
        parts = (query.distinct().limit(bound).subquery() for query in self.queries)
        return union(*(select(*part.c) for part in parts)).limit(bound)


@dataclass(slots=True)
class Condition:
    """One criterion: what each row must satisfy, its level, and where to look first."""

    level: Level
    predicate: ColumnElement[bool]
    candidates: list[Candidates] = field(default_factory=list)
