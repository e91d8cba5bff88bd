"""Another archive as a source: what both protocols can say about it, and what they can fail with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.pulling.selection import Days, Selection


class Unreachable(Exception):
    """No answer, or none for the moment; another try may bring one."""


class Refused(Exception):
    """An answer that no further try changes."""


class Barred(Exception):
    """Nothing more will come until somebody changes a setting, here or there."""


class TooMany(Refused):
    """More matches than it answers at a time; a narrower question may be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStudy:
    """A study there. `instances` is 0 where it does not tell."""

    study_instance_uid: str
    study_date: str = ""
    modalities: tuple[str, ...] = ()
    instances: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteInstance:
    """An instance there. `sop_class_uid` is "" where it does not tell."""

    sop_instance_uid: str
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSeries:
    """A series there, or a part of one. `is_whole`: these are all its instances."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str = ""
    instances: tuple[RemoteInstance, ...] = ()
    is_whole: bool = True


class Arrivals(Protocol):
    """Hears of instances while they come, from any thread."""

    def arrived(self, count: int = 1) -> None:
        """So many more are archived."""
        ...

    def refused(self, sop_instance_uid: str, reason: str) -> None:
        """One that cannot be kept, or that the other side cannot send; it is not asked for again in this run."""
        ...


class Source(Protocol):
    """An archive that we pull from. Thread-safe. Every call raises Unreachable, Refused or Barred."""

    name: str
    site: str  # whose instances they become

    def studies(self, selection: Selection, days: Days | None) -> Sequence[RemoteStudy]:
        """The studies of these days; None is any day. Raises TooMany."""
        ...

    def series(self, study: RemoteStudy) -> Sequence[RemoteSeries]:
        """All series of a study with their instances."""
        ...

    def fetch(self, part: RemoteSeries, arrivals: Arrivals, *, singly: bool) -> None:
        """Bring these instances into the archive, or as many of them as come. `singly`: asked for one by one."""
        ...
