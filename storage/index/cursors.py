"""How far the readers of the change feed have come; the table of migration 4. Each function is one transaction."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_or

from storage.index.database import Session
from storage.index.first_tables import KINDS
from storage.index.schema import cursor
from storage.index.sql import at, settable


def statements(kind: str) -> list[str]:
    """The statements of the migration for a kind of database."""
    return [TABLE.format(**KINDS[kind])]


def position(session: Session, name: str) -> int:
    """The seq up to which this reader has read."""
    row = session.row(_POSITION, {"at_name": name})
    return 0 if row is None else int(row[0])


def move(session: Session, name: str, seq: int) -> None:
    """Remember a seq in place of the one before."""
    session.run(_MOVE, {"name": name, "seq": seq})


TABLE = "CREATE TABLE cursor (name {text} NOT NULL, seq {whole} NOT NULL, PRIMARY KEY (name))"
_POSITION = select(cursor.c.seq).where(at(cursor, "name"))
_moved = insert_or(cursor).values(settable(cursor, "name", "seq"))
_MOVE = _moved.on_conflict_do_update(index_elements=[cursor.c.name], set_={"seq": _moved.excluded.seq})
