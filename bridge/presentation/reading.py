"""Which images and frames a presentation state is for, and which of its items hold for one of them (PS3.3 §C.11.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.attributes import Attributes
from storage.keys import is_uid

IMAGES_LIMIT = 1000  # of one presentation state; the others are not rendered


@dataclass(frozen=True, slots=True)
class Target:
    """One image of a state; `frames` empty: all of them."""

    series_instance_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()


def targets(state: Attributes) -> list[Target]:
    """The images of a state, in its order (Presentation State Relationship Module)."""
    return list(_targets(state))[:IMAGES_LIMIT]


def applies(item: Attributes, sop_instance_uid: str, frame: int) -> bool:
    """Does an item hold for a frame? One without a Referenced Image Sequence holds for all of the state's images."""
    references = item.items("ReferencedImageSequence")
    return not references or any(_names(reference, sop_instance_uid, frame) for reference in references)


def applicable(state: Attributes, sequence: str, sop_instance_uid: str, frame: int) -> Iterator[Attributes]:
    """The items of a sequence that hold for a frame."""
    return (item for item in state.items(sequence) if applies(item, sop_instance_uid, frame))


def _targets(state: Attributes) -> Iterator[Target]:
    for series in state.items("ReferencedSeriesSequence"):
        series_uid = series.text("SeriesInstanceUID")
        for image in series.items("ReferencedImageSequence"):
            instance_uid = image.text("ReferencedSOPInstanceUID")
            if is_uid(series_uid) and is_uid(instance_uid):
                yield Target(series_uid, instance_uid, _frames(image))


def _names(reference: Attributes, sop_instance_uid: str, frame: int) -> bool:
    frames = _frames(reference)
    return reference.text("ReferencedSOPInstanceUID") == sop_instance_uid and (not frames or frame in frames)


def _frames(reference: Attributes) -> tuple[int, ...]:
    return tuple(int(number) for number in reference.numbers("ReferencedFrameNumber"))
