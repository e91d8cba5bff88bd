"""The verb render: an instance or some of its frames as something a browser shows (PS3.18 §8.7.4, §10.4.1.1.3).

RENDERERS is the one table from what an instance is to who renders it; a further kind is one row there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from bridge.errors import InvalidRequest, NotAcceptable
from bridge.kinds import Kind
from bridge.render.image import ImageRenderer
from bridge.render.parameters import Parameters
from bridge.render.presented import PresentationRenderer
from bridge.render.report import ReportRenderer
from bridge.render.stored import StoredRenderer
from bridge.render.subject import Rendered, Subject
from bridge.render.waveform import WaveformRenderer
from bridge.rendering.encoding import WITH_PROFILE
from bridge.rendering.profiles import NO
from bridge.retrieve import Retrieve
from bridge.settings import Settings
from storage.records import InstanceRecord


class Renderer(Protocol):
    """Renders instances of one kind. All of it may raise NotFound, NotAcceptable, InvalidRequest, Unavailable."""

    def media_types(self, subject: Subject, /) -> Sequence[str]:
        """What the instance can be rendered as, the default first (Table 8.7.4-1)."""
        ...

    def whole(self, subject: Subject, media_type: str, parameters: Parameters) -> Rendered:
        """The instance as one thing, for a single part answer."""
        ...

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """The instance in a multipart answer: an image gives every frame, others the one thing they are."""
        ...


# Images, and presentation states with them, are made in Render.
RENDERERS: dict[Kind, Callable[[Settings], Renderer]] = {
    Kind.VIDEO: StoredRenderer,
    Kind.REPORT: ReportRenderer,
    Kind.DOCUMENT: StoredRenderer,
    Kind.WAVEFORM: WaveformRenderer,
}


class Render:
    """Rendering from one archive. Thread-safe; one per process, it remembers what images look like."""

    def __init__(self, retrieve: Retrieve, settings: Settings) -> None:
        self._retrieve = retrieve
        self._image = ImageRenderer(settings)
        self._states = PresentationRenderer(self._image, settings.rendering.report_limit_bytes)
        self._renderers: dict[Kind, Renderer] = {kind: make(settings) for kind, make in RENDERERS.items()}
        self._renderers |= {Kind.IMAGE: self._image, Kind.PRESENTATION_STATE: self._states}

    def media_types(self, record: InstanceRecord) -> Sequence[str]:
        """What the instance can be rendered as, the default first; empty when it cannot be."""
        subject = Subject(self._retrieve, record)
        renderer = self._renderers.get(subject.kind)
        return renderer.media_types(subject) if renderer is not None else ()

    def shows_others(self, record: InstanceRecord) -> bool:
        """Does what is shown come from other instances of the study, as with a presentation state?"""
        return Subject(self._retrieve, record).kind is Kind.PRESENTATION_STATE

    def shows_several(self, record: InstanceRecord) -> bool:
        """Does the instance stand for more than one picture of other instances? Raises as `whole` does."""
        return self.shows_others(record) and self._states.shows_several(Subject(self._retrieve, record))

    def image_type(self, record: InstanceRecord) -> list[str]:
        """The values of Image Type of an image. Raises NotAcceptable when its header cannot be read."""
        return self._image.image_type(Subject(self._retrieve, record))

    def whole(self, record: InstanceRecord, media_type: str, parameters: Parameters) -> Rendered:
        """The instance as one thing. Raises NotAcceptable and what its renderer raises."""
        subject = _subject(self._retrieve, record, media_type, parameters)
        return self._renderer(subject).whole(subject, media_type, parameters)

    def parts(self, record: InstanceRecord, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """The instance as the parts of a multipart answer. Raises as `whole` does."""
        subject = _subject(self._retrieve, record, media_type, parameters)
        return self._renderer(subject).parts(subject, media_type, parameters)

    def frames(
        self, record: InstanceRecord, numbers: Sequence[int], media_type: str, parameters: Parameters
    ) -> Iterator[Rendered]:
        """These frames of an image. Raises NotAcceptable for anything else, and what the renderer raises."""
        subject = _subject(self._retrieve, record, media_type, parameters)
        if subject.kind is not Kind.IMAGE:
            raise NotAcceptable(f"a {subject.kind} has no frames that can be rendered")
        return self._image.frames(subject, numbers, media_type, parameters)

    def presented(
        self, state: InstanceRecord, image: InstanceRecord, frame: int | None, media_type: str, parameters: Parameters
    ) -> Rendered:
        """A frame of an image through a presentation state; its first frame of this image without a number.

        Raises InvalidRequest when the state is not for it or a window is named, and what the renderer of images raises.
        """
        subjects = (Subject(self._retrieve, state), Subject(self._retrieve, image))
        return self._states.apply(*subjects, frame, media_type, parameters)

    def _renderer(self, subject: Subject) -> Renderer:
        renderer = self._renderers.get(subject.kind)
        if renderer is None:
            raise NotAcceptable(f"a {subject.kind} cannot be rendered")
        return renderer


def _subject(retrieve: Retrieve, record: InstanceRecord, media_type: str, parameters: Parameters) -> Subject:
    """Raises InvalidRequest for a profile in a type that carries none (PS3.18 §8.3.5.1.5; DICOM.md W21)."""
    if parameters.icc_profile != NO and media_type not in WITH_PROFILE:
        raise InvalidRequest(f"{media_type} carries no colour profile; iccprofile may only be no")
    return Subject(retrieve, record)
