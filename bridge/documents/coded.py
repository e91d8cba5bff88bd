"""Codes and references as they stand in a report (PS3.3 §8, §C.17.3.3, PS3.3 Table 10-11). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.attributes import NOTHING, Attributes
from storage.keys import is_uid

# Where a report lists what it was made from, and what else it names (PS3.3 §C.17.2; §C.17.6 for key objects).
_EVIDENCE = (
    "CurrentRequestedProcedureEvidenceSequence",
    "PertinentOtherEvidenceSequence",
    "IdenticalDocumentsSequence",
    "PredecessorDocumentsSequence",
)
_FRAMES_SHOWN = 100  # numbers in one link; a list beyond this links to the whole instance


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept; all empty where there is none."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    @property
    def label(self) -> str:
        """The meaning, or the bare code where it has none."""
        return self.meaning or self.value


NO_CODE = Code()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A composite object that a report refers to. `href` is "" where the report does not say in which study it is."""

    sop_class_uid: str
    sop_instance_uid: str
    class_name: str
    frames: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()
    channels: tuple[tuple[int, int], ...] = ()  # (multiplex group, channel), 1-based; channel 0 is all of the group
    href: str = ""

    @property
    def description(self) -> str:
        """`CT Image 1.2.3, frames 1 2`."""
        parts = [f"{self.class_name} {self.sop_instance_uid}"]
        if self.frames:
            parts.append(_counted("frame", list(map(str, self.frames))))
        if self.segments:
            parts.append(_counted("segment", list(map(str, self.segments))))
        if self.channels:
            parts.append(_counted("channel", [f"{group}.{channel}" for group, channel in self.channels]))
        return ", ".join(parts)


def _counted(noun: str, numbers: list[str]) -> str:
    return f"{noun}{'s' if len(numbers) > 1 else ''} {' '.join(numbers)}"


def code(item: Attributes, sequence: str) -> Code:
    """The first code of a sequence; long codes and URNs count as values (PS3.3 Table 8.8-1)."""
    coded = item.item(sequence)
    if coded is NOTHING:
        return NO_CODE
    value = coded.text("CodeValue") or coded.text("LongCodeValue") or coded.text("URNCodeValue")
    return Code(value, coded.text("CodingSchemeDesignator"), coded.text("CodeMeaning"))


class Links:
    """SOP Instance UID -> the URL at which the instance can be seen, by what the report says of its study."""

    def __init__(self, report: Attributes, base: str) -> None:
        self._base = base
        self._places: Mapping[str, tuple[str, str]] = dict(_places(report))

    def reference(self, item: Attributes) -> Reference:
        """The object that an item of a Referenced SOP Sequence names."""
        sop_class, instance = item.text("ReferencedSOPClassUID"), item.text("ReferencedSOPInstanceUID")
        frames = tuple(int(number) for number in item.numbers("ReferencedFrameNumber"))
        channels = [int(number) for number in item.numbers("ReferencedWaveformChannels")]
        return Reference(
            sop_class_uid=sop_class,
            sop_instance_uid=instance,
            class_name=class_name(sop_class),
            frames=frames,
            segments=tuple(int(number) for number in item.numbers("ReferencedSegmentNumber")),
            channels=tuple(zip(channels[::2], channels[1::2], strict=False)),
            href=self._href(instance, frames),
        )

    def _href(self, instance: str, frames: tuple[int, ...]) -> str:
        if instance not in self._places or not is_uid(instance):
            return ""
        study, series = self._places[instance]
        listed = 0 < len(frames) <= _FRAMES_SHOWN and min(frames) > 0
        some = f"/frames/{','.join(map(str, frames))}" if listed else ""
        return f"{self._base}/studies/{study}/series/{series}/instances/{instance}{some}/rendered"


def class_name(sop_class_uid: str) -> str:
    """`CT Image`: the name of PS3.6 without its `Storage`, or the UID of a class that it does not know."""
    from pydicom.uid import UID_dictionary

    return str(UID_dictionary.get(sop_class_uid, (sop_class_uid,))[0]).removesuffix(" Storage")


def _places(report: Attributes) -> Iterator[tuple[str, tuple[str, str]]]:
    """(instance, (study, series)) of all that the report lists (PS3.3 Table C.17-3)."""
    for sequence in _EVIDENCE:
        for study in report.items(sequence):
            for series in study.items("ReferencedSeriesSequence"):
                place = (study.text("StudyInstanceUID"), series.text("SeriesInstanceUID"))
                if not all(map(is_uid, place)):
                    continue
                for instance in series.items("ReferencedSOPSequence"):
                    yield instance.text("ReferencedSOPInstanceUID"), place
