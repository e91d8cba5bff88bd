"""What is to be pulled: studies by UID, patient, date and modality; dates in windows that can be halved. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from bridge.errors import ConfigError
from storage.keys import is_uid

_DICOM_DAY = "%Y%m%d"
_WILD = frozenset("*?\\")
_ID_CHARACTERS = 64  # PS3.5 Table 6.2-1, LO


@dataclass(frozen=True, slots=True)
class Days:
    """A window of study dates, both ends included."""

    first: date
    last: date

    @property
    def range(self) -> str:
        """As Range Matching has it (PS3.4 §C.2.2.2.5)."""
        first, last = self.first.strftime(_DICOM_DAY), self.last.strftime(_DICOM_DAY)
        return first if first == last else f"{first}-{last}"

    def halves(self) -> tuple[Days, Days] | None:
        """The earlier and the later half; None when it is one day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return Days(self.first, middle), Days(middle + timedelta(days=1), self.last)

    def windows(self, days: int) -> Iterator[Days]:
        """The same days in windows of so many, the earliest first."""
        first = self.first
        while first <= self.last:
            last = min(first + timedelta(days=days - 1), self.last)
            yield Days(first, last)
            first = last + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Studies to pull; empty conditions are met by every one."""

    study: str = ""
    patient: str = ""
    days: Days | None = None
    modalities: tuple[str, ...] = ()


def selection(
    *, study: str, patient: str, since: str, until: str, modalities: tuple[str, ...], today: date
) -> Selection:
    """A Selection from what was typed; dates as YYYY-MM-DD or YYYYMMDD. Raises ConfigError."""
    if not (study or patient or since):
        raise ConfigError("say what to pull: --study UID, --patient ID or --since DATE")
    if study and not is_uid(study):
        raise ConfigError(f"{study!r} is not a Study Instance UID")
    if len(patient) > _ID_CHARACTERS or _WILD & set(patient):
        raise ConfigError("a patient ID has 64 characters at most, and no wildcards")
    if until and not since:
        raise ConfigError("--until needs --since")
    days = Days(_day(since), _day(until) if until else max(today, _day(since))) if since else None
    if days is not None and days.first > days.last:
        raise ConfigError(f"--since {since} is after --until {until}")
    for modality in modalities:
        if not modality.isalnum() or not modality.isascii() or len(modality) > 16:
            raise ConfigError(f"{modality!r} is not a modality; one is like CT or MR")
    return Selection(study=study, patient=patient, days=days, modalities=tuple(one.upper() for one in modalities))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a date; one is like 2026-03-05") from error
