"""What the index asks of a database: statements prepared once, reads, and write transactions one after another.

Statements are SQLAlchemy Core, compiled once to the driver's own text and run by the driver's cursor directly, because
a commit runs a dozen of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
NONE: Parameters = {}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement in the driver's words; `constants` are values the statement itself brought."""

    text: str
    constants: Mapping[str, Any]


class Session(ABC):
    """One connection, inside a transaction or reading on its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, statement: ClauseElement | Prepared, parameters: Parameters = NONE) -> list[Row]:
        """Run and fetch everything."""
        prepared = statement if isinstance(statement, Prepared) else self._database.prepared(statement)
        return self._fetch(prepared.text, {**prepared.constants, **parameters} if prepared.constants else parameters)

    def row(self, statement: ClauseElement | Prepared, parameters: Parameters = NONE) -> Row | None:
        """The first row, or None."""
        found = self.rows(statement, parameters)
        return found[0] if found else None

    def run(self, statement: ClauseElement | Prepared, parameters: Parameters = NONE) -> int:
        """Run; the number of rows it touched."""
        return self.many(statement, (parameters,))

    def many(self, statement: ClauseElement | Prepared, parameters: Sequence[Parameters]) -> int:
        """Run once for each set of parameters; the number of rows all touched."""
        prepared = statement if isinstance(statement, Prepared) else self._database.prepared(statement)
        if prepared.constants:
            parameters = [{**prepared.constants, **one} for one in parameters]
        return self._run(prepared.text, parameters) if parameters else 0

    @abstractmethod
    def listing(self, values: Sequence[str] | Sequence[int]) -> Any:
        """The parameter of `sql.Among`."""

    @abstractmethod
    def wildcard(self, pattern: str) -> str:
        """The parameter of `sql.Matches`: DICOM's `*` and `?` in the database's words, everything else literal."""

    @abstractmethod
    def _fetch(self, text: str, parameters: Parameters) -> list[Row]: ...

    @abstractmethod
    def _run(self, text: str, parameters: Sequence[Parameters]) -> int: ...


class Database(ABC):
    """SQLite or PostgreSQL."""

    name: ClassVar[str]
    table_exists: ClassVar[str]  # a query with the parameter `name`, in the driver's words
    alone: ClassVar[str | None]  # a statement that keeps other migrations away until the transaction ends
    dialect: Dialect

    def __init__(self) -> None:
        self._prepared: dict[int, tuple[ClauseElement, Prepared]] = {}

    def prepared(self, statement: ClauseElement) -> Prepared:
        """The compiled form of a statement that lives as long as the program; compiled at its first use."""
        known = self._prepared.get(id(statement))
        if known is None:
            known = self._prepared[id(statement)] = (statement, self.compiled(statement))
        return known[1]

    def compiled(self, statement: ClauseElement) -> Prepared:
        """Compile a statement made for one use."""
        compiled = statement.compile(dialect=self.dialect)
        assert isinstance(compiled, SQLCompiler)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return Prepared(str(compiled), constants)

    @abstractmethod
    def read(self, work: Callable[[Session], T], *, snapshot: bool = False) -> T:
        """Run `work` on a connection; with `snapshot` all its statements see one state. May be repeated once."""

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction that no other writer overlaps, and commit it durably. May be repeated.

        Raises StorageUnavailable when the database does not answer or the wait for other writers is too long.
        """
        result = self.commit(work)
        self.settle()
        return result

    @abstractmethod
    def commit(self, work: Callable[[Session], T]) -> T:
        """The same, but for the last step: when it returns, others see the change, and `settle` makes it durable."""

    @abstractmethod
    def settle(self) -> None:
        """Return when everything this process committed would survive a power cut. Raises StorageUnavailable."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""
