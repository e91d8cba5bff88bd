"""Pieces of SQL that both databases understand, each in its own words."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, BindParameter, Boolean, ColumnElement, Table, Text, and_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY, Insert
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Alias

from storage.index.schema import Words


class _Condition(ColumnElement[bool]):
    """A condition that stands as it is: `... = 1` around it would hide it from SQLite's planner."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> ColumnElement[Any]:
        """Never wrapped, whatever it stands against."""
        del against
        return self


class Among(_Condition):
    """`column` is one of the values of a list parameter, made by `Session.listing`."""

    def __init__(self, column: ColumnElement[Any], parameter: str) -> None:
        self.column = column
        words = isinstance(column.type, Text)
        self.parameter: BindParameter[Any] = bindparam(parameter, type_=ARRAY(Text() if words else BigInteger()))
        self.plain: BindParameter[Any] = bindparam(parameter)


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, parameter = compiler.process(element.column, **kw), compiler.process(element.plain, **kw)
    return f"{column} IN (SELECT value FROM json_each({parameter}))"  # noqa: S608  # compiled names, no values


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY ({compiler.process(element.parameter, **kw)})"


class Matches(_Condition):
    """`column` matches a wildcard parameter, made by `Session.wildcard`, case-sensitively."""

    def __init__(self, column: ColumnElement[Any], parameter: BindParameter[Any]) -> None:
        self.column = column
        self.parameter = parameter


@compiles(Matches, "sqlite")
def _matches_sqlite(element: Matches, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} GLOB {compiler.process(element.parameter, **kw)}"


@compiles(Matches, "postgresql")
def _matches_postgresql(element: Matches, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} LIKE {compiler.process(element.parameter, **kw)}"


def words(text: str) -> BindParameter[str]:
    """A constant text."""
    return bindparam(None, text, Words, unique=True)


def at(table: Table | Alias, *names: str) -> ColumnElement[bool]:
    """Each named column equals the parameter `at_<name>`."""
    return and_(*(table.c[name] == bindparam(f"at_{name}", type_=table.c[name].type) for name in names))


def settable(table: Table, *names: str) -> dict[str, BindParameter[Any]]:
    """For `update(table).values(...)`: each named column set from the parameter of its name."""
    return {name: bindparam(name, type_=table.c[name].type) for name in names}


def skip_present(table: Table) -> Insert:
    """Insert a row unless one like it is there (both databases spell it alike)."""
    names = [column.name for column in table.c if column.name != "id"]
    return insert_or(table).values(settable(table, *names)).on_conflict_do_nothing()
