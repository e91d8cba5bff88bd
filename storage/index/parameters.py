"""The values of a search as parameters of its statement, and comparisons made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam

from storage.index import values
from storage.index.database import Session
from storage.index.schema import Words, form, study

Comparison = Callable[[ColumnElement[Any]], ColumnElement[bool]]


class Parameters:
    """Collects the parameters of one statement, and every decision that shapes its text."""

    def __init__(self, session: Session, site_id: int) -> None:
        self._session = session
        self.parameters: dict[str, Any] = {"site_id": site_id}
        self.shape: list[object] = []  # equal shapes, equal text

    def _between(self, column: ColumnElement[Any], low: str | None, high: str | None) -> list[ColumnElement[bool]]:
        self.shape.append((low is None, high is None))
        bounds = []
        if low is not None:
            bounds.append(column >= self._bind(low))
        if high is not None:
            bounds.append(column <= self._bind(high))
        return bounds

    def _begins(self, prefix: str) -> Comparison:
        """Text that begins with `prefix`, by code point."""
        prefix = values.cleaned(prefix)
        after = successor(prefix)
        self.shape.append(bool(after))
        return lambda column: and_(column >= self._bind(prefix), *([column < self._bind(after)] if after else []))

    def _key(self, column: ColumnElement[Any], key: str | float) -> ColumnElement[Any]:
        """A key as the column has it: numbers are text in the table of forms."""
        return self._bind(values.form_of_key(key) if column is form.c.form else key)

    def _site(self) -> ColumnElement[Any]:
        return bindparam("site_id", type_=study.c.site_id.type)

    def _bind(self, value: Any) -> BindParameter[Any]:
        return bindparam(self._name(value), type_=Words if isinstance(value, str) else None)

    def _name(self, value: Any) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return name


def successor(prefix: str) -> str | None:
    """The first text after every text that begins with `prefix`, by code point; None when there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if code <= 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
        prefix = prefix[:-1]
    return None
