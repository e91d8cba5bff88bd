"""Attributes of a record as the values of rows: cleaned text, keys, forms to match, three-character grams. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple

import orjson

from storage.attributes import BY_KEYWORD, COMPUTED, IndexedAttribute, at_level
from storage.index.schema import IDENTITY, NO_NUMBER, key_column
from storage.names import openings, person_name_forms
from storage.query import NUMBER_VRS, significant, sort_key
from storage.records import Level

TEXT_LIMIT = (
    512  # characters kept of one attribute, so that an index entry always fits (standard limits are 64 or less)
)
MODALITIES = COMPUTED["ModalitiesInStudy"][0]
SOP_CLASSES = COMPUTED["SOPClassesInStudy"][0]

# The attributes that `*contains*` is quick on: tag -> a small number that is part of every gram and never changes.
GRAMMED = {0x00100010: 1, 0x00100020: 2, 0x00080050: 3, 0x00081030: 4, 0x00080090: 5}

FUZZY = 1 << 32  # beside a tag in the table of forms: these are openings of names (storage/names.py)

_REMEMBERED = 256  # different sets of attributes
_VALUES_REMEMBERED = 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Value = str | int | float | bytes | None
FORMS_LEVELS = {level: tuple(a for a in at_level(level) if a.column not in IDENTITY) for level in Level}
_COLUMNS = {
    level: tuple((a.keyword, a.column, key_column(a), a.vr) for a in attributes)
    for level, attributes in FORMS_LEVELS.items()
}


def microseconds(moment: datetime) -> int:
    """An aware time as the index keeps it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The inverse of `microseconds`."""
    return _EPOCH + timedelta(microseconds=value)


def cleaned(text: str) -> str:
    """Text that both databases take: no NUL, no lone surrogates, at most TEXT_LIMIT characters."""
    text = text[:TEXT_LIMIT]
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def canonical(attributes: Mapping[str, str], level: Level) -> dict[str, str]:
    """Those of `attributes` that a row of `level` keeps: cleaned, without padding, empty ones left out."""
    kept = {}
    for keyword, _, _, vr in _COLUMNS[level]:
        raw = attributes.get(keyword)
        if raw and (text := _kept(vr, raw)):
            kept[keyword] = text
    return kept


@lru_cache(maxsize=_VALUES_REMEMBERED)
def _kept(vr: str, raw: str) -> str:
    """Instances of a series give the same in most attributes."""
    values = [significant(vr, value) for value in cleaned(raw).split("\\")]
    return "\\".join(values) if any(values) else ""


class Canonical(NamedTuple):
    """Canonical attributes and the same `packed`. Not to be changed: instances share them."""

    attributes: dict[str, str]
    packed: str


def shared(attributes: Mapping[str, str], level: Level) -> Canonical:
    """`canonical` for study and series, remembered, because the instances of a series mostly give the same."""
    return _shared(level, tuple([attributes.get(keyword) for keyword in keywords(level)]))


@lru_cache(maxsize=_REMEMBERED)
def _shared(level: Level, raw: tuple[str | None, ...]) -> Canonical:
    given = {keyword: text for keyword, text in zip(keywords(level), raw, strict=True) if text}
    kept = canonical(given, level)
    return Canonical(kept, packed(kept))


def packed(attributes: Mapping[str, str]) -> str:
    """Attributes as text that is equal exactly when they are."""
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).decode()


def columns(attributes: Mapping[str, str], level: Level) -> dict[str, Value]:
    """The attribute columns of a row, from canonical attributes."""
    row: dict[str, Value] = {}
    for keyword, column, key, vr in _COLUMNS[level]:
        row[column] = text = attributes.get(keyword)
        if key is not None:
            row[key] = _first_key(vr, text)
    if level is Level.STUDY:
        date, time = str(row["study_date_key"] or ""), str(row["study_time_key"] or "")
        row["moment"] = date + time if date else ""
    return row


def forms(attributes: Mapping[str, str], level: Level) -> list[tuple[int, str]]:
    """(tag, text) under which person names and values beside the one in the column are found."""
    found: dict[tuple[int, str], None] = {}
    for attribute in FORMS_LEVELS[level]:
        text = attributes.get(attribute.keyword)
        if text is not None and (attribute.vr == "PN" or "\\" in text):
            for form in value_forms(attribute, text):
                found[attribute.tag, form] = None
        if text is not None and attribute.vr == "PN":
            for value in text.split("\\"):
                found |= dict.fromkeys((FUZZY | attribute.tag, opening) for opening in openings(value))
    return list(found)


def form_tags(level: Level) -> list[int]:
    """What the forms of a row of `level` may stand under."""
    tags = [attribute.tag for attribute in at_level(level)]
    return [*tags, *(FUZZY | attribute.tag for attribute in at_level(level) if attribute.vr == "PN")]


def value_forms(attribute: IndexedAttribute, text: str) -> list[str]:
    """What the values of an attribute are compared by, as text."""
    values = [value for value in text.split("\\") if value]
    if attribute.vr == "PN":
        return [cleaned(form) for value in values for form in person_name_forms(value)]
    if key_column(attribute) is None:
        return values
    keys = (sort_key(attribute.vr, value) for value in values)
    return [form_of_key(key) for key in keys if key is not None]


def form_of_key(key: str | float) -> str:
    """A key as text in the table of forms."""
    return key if isinstance(key, str) else repr(key)


def grams(attributes: Mapping[str, str]) -> set[int]:
    """Every gram of a study's searchable texts."""
    found: set[int] = set()
    for attribute in FORMS_LEVELS[Level.STUDY]:
        number = GRAMMED.get(attribute.tag)
        text = attributes.get(attribute.keyword)
        if number is not None and text is not None:
            for form in value_forms(attribute, text):
                found.update(_grams(number, form))
    return found


def gram_ranges(tag: int, literal: str) -> list[tuple[int, int]]:
    """For text that contains `literal`, ranges (first, last) of grams, each of which must hold one of its grams.

    Three characters and more give single grams; one or two give one range.
    """
    number = GRAMMED[tag]
    if len(literal) < 3:
        low = _gram(number, literal)
        return [(low, low + (1 << 16 * (3 - len(literal))) - 1)]
    return [(gram, gram) for gram in {_gram(number, literal[at : at + 3]) for at in range(len(literal) - 2)}]


def packed_any(row: Mapping[str, object]) -> str:
    """A row of plain values as sorted JSON."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def joined(values: Iterable[str]) -> str:
    """Distinct values, sorted, as one text."""
    return "\\".join(sorted({value for value in values if value}))


@cache
def keywords(level: Level) -> tuple[str, ...]:
    """The keywords a row of `level` keeps in columns of their own, in column order."""
    return tuple(attribute.keyword for attribute in FORMS_LEVELS[level])


def attribute_of(keyword: str) -> IndexedAttribute:
    """The row of THE table."""
    return BY_KEYWORD[keyword]


@lru_cache(maxsize=_VALUES_REMEMBERED)
def _first_key(vr: str, text: str | None) -> str | float | None:
    first = next((value for value in text.split("\\") if value), None) if text else None
    key = None if first is None else sort_key(vr, first)
    return NO_NUMBER if key is None and vr in NUMBER_VRS else key


def _grams(number: int, text: str) -> Iterable[int]:
    return (_gram(number, text[at : at + 3]) for at in range(len(text)))


def _gram(number: int, letters: str) -> int:
    """Up to three characters after the attribute's number, 16 bits each; those beyond 16 bits share private ones."""
    codes = [code if code < 0x10000 else 0xE000 + code % 0x1900 for code in map(ord, letters)]
    codes += [0] * (3 - len(codes))
    return number << 48 | codes[0] << 32 | codes[1] << 16 | codes[2]
