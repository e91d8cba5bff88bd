"""Dates and times of a search in the time zone that it names (PS3.18 §8.3.4.1, PS3.3 §C.12.1.1.8; DICOM.md Q24).

An instance's dates and times are in its own TimezoneOffsetFromUTC, or in the site's zone when it names none. They are
moved into the search's zone and then matched as usual. The index cannot move them, so it is asked for two days more on
each side: from -1200 to +1400 a moment lies on three days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from bridge.errors import InvalidRequest
from bridge.search.keys import PAIRS
from storage.query import AnyOf, Criterion, DateTimeRange, Matcher, Query, Range, Single, sort_key

Path = tuple[int, ...]
Reading = Callable[[Path], Sequence[str]]  # the values of an attribute

OFFSET: Path = (0x00080201,)
_BIRTH_DATE: Path = (0x00100030,)  # of no zone (PS3.3 §C.12.1.1.8)
_MOVED: dict[Path, Path] = {date: time for date, time in PAIRS.items() if date != _BIRTH_DATE}
_PAIR_OF: dict[Path, tuple[Path, Path]] = {one: pair for pair in _MOVED.items() for one in pair}
_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4])([0-5][0-9])")
_WESTMOST, _EASTMOST = timedelta(hours=-12), timedelta(hours=14)
_MORE_DAYS = 2


def parse_offset(text: str) -> timedelta:
    """`&ZZXX` as a search writes it; a plus that a query string made a blank is one. Raises InvalidRequest."""
    found = _offset(f"+{text[1:]}" if text.startswith(" ") else text)
    if found is None:
        raise InvalidRequest("TimezoneOffsetFromUTC is +HHMM or -HHMM, from -1200 to +1400")
    return found


@dataclass(frozen=True, slots=True)
class Zone:
    """The search's offset from UTC, and the zone of instances that name none."""

    offset: timedelta
    site: tzinfo

    def concerns(self, path: Path) -> bool:
        """Whether the attribute's values are moved."""
        return path in _PAIR_OF

    def moved(self, read: Reading) -> Reading:
        """As `read`, with dates and times in the search's zone. What is no moment, or one of several, stays."""

        def read_moved(path: Path) -> Sequence[str]:
            pair = _PAIR_OF.get(path)
            if pair is None:
                return read(path)
            dates, times = list(read(pair[0])), list(read(pair[1]))
            if len(dates) == len(times) == 1:
                moment = self._moment(dates[0], times[0], next(iter(read(OFFSET)), ""))
                if moment is not None:
                    dates, times = [moment.strftime("%Y%m%d")], [moment.strftime("%H%M%S.%f")]
            return dates if path == pair[0] else times

        return read_moved

    def widened(self, query: Query) -> Query:
        """A query for the index that finds every match: days around the ones asked for, at any time."""
        criteria = [self._widened(criterion) for criterion in query.criteria]
        intervals = tuple(_widened_interval(one) if one.date_path in _MOVED else one for one in query.intervals)
        return replace(query, criteria=tuple(one for one in criteria if one is not None), intervals=intervals)

    def _moment(self, date: str, time: str, own: str) -> datetime | None:
        day, clock = sort_key("DA", date), sort_key("TM", time)
        try:
            local = datetime.strptime(f"{day}{clock}", "%Y%m%d%H%M%S.%f")
            offset = _offset(own)
            zone = self.site if offset is None else timezone(offset)
            return local.replace(tzinfo=zone).astimezone(timezone(self.offset))
        except (ValueError, OverflowError):  # no such moment, or before the first year
            return None

    def _widened(self, criterion: Criterion) -> Criterion | None:
        if not self.concerns(criterion.path):
            return criterion
        days = _days(criterion.matcher) if criterion.path in _MOVED else None  # a time says nothing of the day
        return None if days is None else replace(criterion, matcher=days)


def _days(matcher: Matcher) -> Matcher | None:
    """Two days more on each side; None for what is found by looking at each row."""
    match matcher:
        case Single(value):
            return Range(_earlier(value), _later(value))
        case Range(low, high):
            return Range(low and _earlier(low), high and _later(high))
        case AnyOf(values):
            return Range(_earlier(min(values)), _later(max(values)))
    return None


def _widened_interval(interval: DateTimeRange) -> DateTimeRange:
    low, high = interval.low, interval.high
    return replace(interval, low=low and f"{_earlier(low[:8])}{low[8:]}", high=high and f"{_later(high[:8])}{high[8:]}")


def _earlier(day: str) -> str:
    return _shifted(day, -_MORE_DAYS)


def _later(day: str) -> str:
    return _shifted(day, _MORE_DAYS)


def _shifted(day: str, by: int) -> str:
    """A DA some days away; the first and last day of the calendar stay."""
    try:
        return (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=by)).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return day


def _offset(text: str) -> timedelta | None:
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    offset = -offset if found[1] == "-" else offset
    return offset if _WESTMOST <= offset <= _EASTMOST else None
