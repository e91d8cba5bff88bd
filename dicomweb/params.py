"""A QIDO-RS query string -> Query and the fields to return (PS3.18 §8.3.4, §10.6). Pure.

Nothing is dropped silently: what cannot be understood raises InvalidRequest with a sentence that names the way out
(DICOM.md Q21), what is understood but not performed adds a warning in the standard's words (Q14, Q15).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl

from bridge.errors import InvalidRequest
from bridge.search import keys as search_keys
from bridge.search.matchers import Ways
from bridge.search.tags import parse_path, shown, vr_of
from bridge.search.zones import OFFSET, parse_offset
from storage.query import Query
from storage.records import Level, ResourceRef

FIELDS_LIMIT = 500  # parameters in one query string
NUMBER_LIMIT = 2**31 - 1  # of limit and offset

NOT_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."  # §8.3.4.2

_FLAGS = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_REPEATABLE_VRS = ("UI", "CS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A search resource: what comes back, what the path narrows to, whose default attributes are returned (Q28)."""

    level: Level
    scope: ResourceRef | None
    returned: frozenset[Level]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A query string understood."""

    query: Query
    asked: tuple[tuple[int, ...], ...]  # paths of includefield and of the keys themselves
    everything: bool  # includefield=all
    utc_offset: timedelta | None  # the zone that dates and times are in (Q24)
    warnings: tuple[str, ...]
    accept: str | None


def parse_pairs(query_string: str) -> list[tuple[str, str]]:
    """The decoded parameters in order. Raises InvalidRequest for text that is not UTF-8 or for too many parameters."""
    try:
        return parse_qsl(
            query_string, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=FIELDS_LIMIT
        )
    except UnicodeDecodeError as error:
        raise InvalidRequest("the query string is not percent-encoded UTF-8") from error
    except ValueError as error:
        raise InvalidRequest(f"the query string has more than {FIELDS_LIMIT} parameters") from error


def parse(query_string: str, target: Target, *, site: str, limit_default: int, limit_max: int) -> SearchRequest:
    """Understand a search. Raises InvalidRequest."""
    pairs = parse_pairs(query_string)
    reserved = _reserved(pairs)
    keys = _keys(pairs)
    search_keys.check(keys, target.level)
    asked, everything = _includes(value for name, value in pairs if name == "includefield")
    fuzzy, empty_value, multiple_value = (reserved.get(flag) == "true" for flag in _FLAGS)
    ways = Ways(fuzzy=fuzzy, empty_value=empty_value, multiple_value=multiple_value)
    criteria, intervals = search_keys.criteria(keys, ways)
    query = Query(
        site=site,
        level=target.level,
        criteria=criteria,
        intervals=intervals,
        scope=target.scope,
        limit=min(_number("limit", reserved.get("limit"), limit_default), limit_max),
        offset=_number("offset", reserved.get("offset"), 0),
    )
    return SearchRequest(
        query=query,
        asked=tuple(dict.fromkeys((*asked, *keys))),
        everything=everything,
        utc_offset=parse_offset(keys[OFFSET]) if keys.get(OFFSET) else None,
        warnings=_warnings(reserved, keys),
        accept=reserved.get("accept"),
    )


def _reserved(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters that are no attributes; each at most once."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in ("limit", "offset", "accept", "charset", *_FLAGS):
            if name in found:
                raise InvalidRequest(f"{name} may be given once")
            found[name] = value
    for flag in _FLAGS:
        if found.get(flag, "false") not in ("true", "false"):
            raise InvalidRequest(f"{flag} is true or false")
    if found.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise InvalidRequest("charset may only be utf-8 (PS3.18 section 8.3.3.2)")
    return found


def _keys(pairs: Iterable[tuple[str, str]]) -> dict[tuple[int, ...], str]:
    """Attribute path -> value. Repeats are refused but for UIDs and codes, where they make a list (Q2, Q12)."""
    keys: dict[tuple[int, ...], str] = {}
    for name, value in pairs:
        if name in ("limit", "offset", "accept", "charset", "includefield", "_", *_FLAGS):
            continue
        path = parse_path(name)
        if path not in keys:
            keys[path] = value
        elif vr_of(path) in _REPEATABLE_VRS:
            keys[path] = f"{keys[path]}\\{value}"
        else:
            raise InvalidRequest(f"{shown(name)} is given more than once")
    return keys


def _includes(values: Iterable[str]) -> tuple[list[tuple[int, ...]], bool]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if len(names) > FIELDS_LIMIT:
        raise InvalidRequest(f"includefield may name at most {FIELDS_LIMIT} attributes")
    return [parse_path(name) for name in names if name != "all"], "all" in names


def _number(name: str, text: str | None, default: int) -> int:
    """An unsigned integer parameter (§8.3.4.4)."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > NUMBER_LIMIT:
        raise InvalidRequest(f"{name} must be an unsigned integer up to {NUMBER_LIMIT}")
    return int(text)


def _warnings(reserved: dict[str, str], keys: dict[tuple[int, ...], str]) -> tuple[str, ...]:
    warnings = []
    if reserved.get("fuzzymatching") == "true" and any(value and vr_of(path) == "UN" for path, value in keys.items()):
        warnings.append(NOT_FUZZY)  # whether a private attribute is a name only the instances know
    return tuple(warnings)
