"""Facts, rules and policies of retention (LIFECYCLE §2.1, §2.2). Pure.

Dates are counted in the site's zone; a term ends at local midnight, kept as a UTC instant. A year after 29 February
ends on 1 March where there is no 29 February, so that no term is ever a day short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.errors import ConfigError
from storage.records import Retention

STUDY_DATE_UNUSABLE = "study-date-unusable"
BIRTH_DATE_MISSING = "birth-date-missing"
CLASS_UNKNOWN = "class-unknown"
EXPIRED_ON_ARRIVAL = "expired-on-arrival"

# The indexed attributes that facts are made of.
TOLD = ("StudyDate", "StudyTime", "TimezoneOffsetFromUTC", "PatientBirthDate", "Modality")

_EARLIEST = date(1895, 11, 8)  # nobody was X-rayed before
_LATEST_YEAR = 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an instance says that a retention law asks about."""

    care_class: str  # "outpatient", "inpatient", "cn-op-15"; "" = unknown
    modality: str
    start: date  # of the study, in the site's zone
    birth_date: date | None
    received_at: datetime
    zone: tzinfo
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a law: keep for `years`, and for the young until they are `until_age`."""

    retention_class: str  # "cn-op-15": at most 42 characters, it becomes an object's tag
    source: str  # the law and its paragraph
    years: int | None  # None: for ever
    care_classes: tuple[str, ...] = ()  # further names a peer's `retention_class` may use
    modalities: tuple[str, ...] = ()  # applies to these whatever the class
    assumed: bool = True  # counts when the class is unknown
    until_age: int = 0  # for a patient who was `minor_from` or older and younger than `minor_below` at the study
    minor_from: int = 0
    minor_below: int = 18

    def end(self, facts: Facts) -> date | None:
        """The first day on which this rule asks nothing; an unknown birth date counts as that of the youngest meant."""
        if self.years is None:
            return None
        end = add_years(facts.start, self.years)
        born = facts.birth_date or add_years(facts.start, -self.minor_from)
        if self.until_age and add_years(born, self.minor_from) <= facts.start < add_years(born, self.minor_below):
            end = max(end, add_years(born, self.until_age))
        return end


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A preset: the rules of one country at one version."""

    name: str
    version: int
    rules: tuple[Rule, ...]

    def retention(self, facts: Facts) -> Retention:
        """The longest of the rules of this class (of all assumed ones when it is unknown) and modality."""
        flags = list(facts.flags)
        rules = [rule for rule in self.rules if facts.care_class in (rule.retention_class, *rule.care_classes)]
        if not rules:
            rules = [rule for rule in self.rules if rule.assumed]
            flags += [CLASS_UNKNOWN] if len(rules) > 1 else []
        rules += [rule for rule in self.rules if facts.modality in rule.modalities]
        ends = [(rule.end(facts) or date.max, rule.retention_class) for rule in rules]
        end, retention_class = max(ends)
        if facts.birth_date is None and any(rule.until_age for rule in rules):
            flags.append(BIRTH_DATE_MISSING)
        until = None if end == date.max else local_midnight(end, facts.zone)
        if until is not None and until <= facts.received_at:
            flags.append(EXPIRED_ON_ARRIVAL)
        return Retention(
            retention_class=retention_class,
            policy=f"{self.name}@{self.version}",
            start=local_midnight(facts.start, facts.zone),
            until=until,
            flags=tuple(flags),
        )


def facts_from(attributes: Mapping[str, str], care_class: str, received_at: datetime, zone_name: str) -> Facts:
    """Facts out of indexed attributes. A study date that is empty, absurd or in the future gives way to today."""
    zone = zone_named(zone_name)
    today = received_at.astimezone(zone).date()
    start = _study_day(attributes, zone)
    usable = start is not None and _EARLIEST <= start <= today + timedelta(days=1)  # clocks of modalities run ahead
    birth_date = parse_date(attributes.get("PatientBirthDate", ""))
    if birth_date is not None and not date(1850, 1, 1) <= birth_date <= today:
        birth_date = None
    return Facts(
        care_class=care_class,
        modality=attributes.get("Modality", ""),
        start=start if usable and start is not None else today,
        birth_date=birth_date,
        received_at=received_at,
        zone=zone,
        flags=() if usable else (STUDY_DATE_UNUSABLE,),
    )


def is_disposable(retention: Retention, now: datetime) -> bool:
    """True once the term has passed."""
    return retention.until is not None and retention.until <= now


def add_years(day: date, years: int) -> date:
    """The same day `years` later; 29 February becomes 1 March where there is none."""
    year = min(day.year + years, _LATEST_YEAR)
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def local_midnight(day: date, zone: tzinfo) -> datetime:
    """The instant `day` begins in `zone`, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def parse_date(text: str) -> date | None:
    """A DA value (PS3.5 §6.2), also the old form with dots; None when it is none."""
    digits = text.strip().replace(".", "")[:8]
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


@cache
def zone_named(name: str) -> tzinfo:
    """The time zone of that IANA name. Raises ConfigError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"retention.timezone is {name!r}, which is not a known time zone") from None


def _study_day(attributes: Mapping[str, str], zone: tzinfo) -> date | None:
    """The study's day in the site's zone: moved only when the data set tells its own offset (0008,0201)."""
    day = parse_date(attributes.get("StudyDate", ""))
    offset = _parse_offset(attributes.get("TimezoneOffsetFromUTC", ""))
    clock = attributes.get("StudyTime", "").strip().replace(":", "")[:4]
    if day is None or offset is None or day < _EARLIEST or len(clock) != 4 or not (clock.isascii() and clock.isdigit()):
        return day
    hour, minute = int(clock[:2]), int(clock[2:])
    if hour > 23 or minute > 59:
        return day
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=timezone(offset)).astimezone(zone).date()


def _parse_offset(text: str) -> timedelta | None:
    """`&ZZXX` (PS3.3 §C.12.1.1.8): +0800."""
    text = text.strip()
    if len(text) != 5 or text[0] not in "+-" or not (text[1:].isascii() and text[1:].isdigit()):
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timedelta(minutes=minutes if text[0] == "+" else -minutes) if minutes <= 14 * 60 else None
