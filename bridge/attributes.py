"""Reading a data set in the DICOM JSON model by keyword (PS3.18 Annex F). Pure.

Made from what the archive keeps as metadata, so a reader needs no look at the object itself. Absent, empty and garbled
values all read as "nothing there": what comes from a hostile data set never raises here.
"""

from __future__ import annotations

import base64
import binascii
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Fetch = Callable[[str], bytes]  # path of a bulk value -> its bytes, words little endian

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")  # PS3.18 Table F.2.3-1


@functools.cache
def key_of(keyword: str) -> str:
    """The DICOM JSON key of an attribute, by its keyword of PS3.6; a key stays as it is."""
    if keyword[:1].isdigit():
        return keyword
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword of PS3.6")
    return f"{tag:08X}"


class Attributes:
    """One data set, or one item of a sequence. Keywords are those of PS3.6; a key of 8 hex digits works as well."""

    __slots__ = ("_elements",)

    def __init__(self, elements: Mapping[str, Any]) -> None:
        self._elements = elements

    def __contains__(self, keyword: str) -> bool:
        """Is the element there, with a value or empty?"""
        return key_of(keyword) in self._elements

    def values(self, keyword: str) -> Sequence[Any]:
        """The values as JSON has them; empty ones among others are None."""
        element = self._elements.get(key_of(keyword))
        found = element.get("Value") if isinstance(element, dict) else None
        return found if isinstance(found, list) else ()

    def texts(self, keyword: str) -> list[str]:
        """Every value as text, names with their groups joined by `=`."""
        return [_text(value) for value in self.values(keyword)]

    def text(self, keyword: str) -> str:
        """The first value as text, or ""."""
        values = self.values(keyword)
        return _text(values[0]) if values else ""

    def numbers(self, keyword: str) -> list[float]:
        """Every value, if all of them are finite numbers; else nothing."""
        numbers = [_number(value) for value in self.values(keyword)]
        return [number for number in numbers if number is not None] if None not in numbers else []

    def number(self, keyword: str, default: float = 0.0) -> float:
        """The first value as a finite number, or the default."""
        first = _number(next(iter(self.values(keyword)), None))
        return default if first is None else first

    def integer(self, keyword: str, default: int = 0) -> int:
        """The first value as a whole number, or the default."""
        return int(self.number(keyword, default))

    def items(self, keyword: str) -> list[Attributes]:
        """The items of a sequence."""
        return [Attributes(item) for item in self.values(keyword) if isinstance(item, dict)]

    def item(self, keyword: str) -> Attributes:
        """The first item of a sequence, or an empty one."""
        return next((Attributes(item) for item in self.values(keyword) if isinstance(item, dict)), NOTHING)

    def binary(self, keyword: str, fetch: Fetch | None = None) -> bytes:
        """A value field of bytes or words, little endian, whether it stands inline or is given by reference."""
        element = self._elements.get(key_of(keyword))
        if not isinstance(element, dict):
            return b""
        path = self.bulk_path(keyword)
        if path:
            return fetch(path) if fetch is not None else b""
        try:
            return base64.b64decode(element.get("InlineBinary", ""))
        except (binascii.Error, TypeError, ValueError):
            return b""

    def bulk_path(self, keyword: str) -> str:
        """Where a value that is given by reference lies in its instance, such as `54000100/1/54001010`; or ""."""
        element = self._elements.get(key_of(keyword))
        link = element.get("BulkDataURI") if isinstance(element, dict) else None
        return link.rpartition("/bulkdata/")[2] if isinstance(link, str) else ""

    def picked(self, *keywords: str) -> dict[str, Any]:
        """These elements as they are, by key; those that are not there left out."""
        return {key: self._elements[key] for key in map(key_of, keywords) if key in self._elements}

    def keys(self) -> list[str]:
        """The keys of all elements, in their order."""
        return list(self._elements)


NOTHING = Attributes({})


def _text(value: Any) -> str:
    """A value as text: a number in its shortest form, a name as `Alphabetic=Ideographic=Phonetic` (PS3.5 §6.2)."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return "" if value is None or isinstance(value, list) else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
