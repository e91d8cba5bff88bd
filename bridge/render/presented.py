"""Presentation states: their images, each as the state wants it shown (PS3.4 Annex N, PS3.18 §10.4.1.1.3; W22)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from bridge.attributes import Attributes
from bridge.errors import Gone, InvalidRequest, NotFound
from bridge.frames import PixelDescription
from bridge.kinds import Kind
from bridge.presentation.grey import Fetch, in_place
from bridge.presentation.reading import Target, targets
from bridge.presentation.shown import Plane, activates_image_overlays, presentation_of
from bridge.presentation.values import Presentation
from bridge.render.image import ImageRenderer
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered, Subject
from bridge.rendering.encoding import STILLS
from storage.records import ResourceRef


@dataclass(frozen=True, slots=True)
class State:
    """A presentation state that was read, for one image; `image` where overlay planes of it are to be shown."""

    data_set: Attributes
    fetch: Fetch
    image: Plane | None = None

    def of_frame(
        self, image: dict[str, Any], description: PixelDescription, sop_instance_uid: str, frame: int
    ) -> tuple[dict[str, Any], Presentation]:
        """(the attributes of a frame with the state's grey transformations, what the state puts on it)."""
        greys = in_place(image, self.data_set, description, sop_instance_uid, frame, self.fetch)
        return greys, presentation_of(self.data_set, sop_instance_uid, frame, self.fetch, self.image)


class PresentationRenderer:
    """Renders presentation states, with the renderer of images."""

    def __init__(self, image: ImageRenderer, limit_bytes: int) -> None:
        self._image = image
        self._limit_bytes = limit_bytes

    def media_types(self, _subject: Subject, /) -> Sequence[str]:
        """Those of the images."""
        return STILLS

    def shows_several(self, subject: Subject) -> bool:
        """Is the state for more than one frame that is here? Raises TooLarge for one beyond the limit."""
        found = islice(self._found(subject, self._read(subject)), 2)
        return sum(len(numbers) for _, numbers in found) > 1

    def whole(self, subject: Subject, media_type: str, parameters: Parameters) -> Rendered:
        """The first frame that the state is for."""
        return next(self.parts(subject, media_type, parameters))

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """Every frame that the state is for, in its order; images that are not in the archive are left out.

        Raises InvalidRequest for a window, which is the state's business, NotFound when no image is there.
        """
        if parameters.window is not None:
            raise InvalidRequest("a presentation state brings its own window; leave the window parameter out")
        state = self._read(subject)
        found = self._found(subject, state)
        first = next(found, None)
        if first is None:
            raise NotFound("none of the images of the presentation state is here")
        for image, numbers in chain((first,), found):
            yield from self._image.frames(image, numbers, media_type, parameters, self._for(state, image))

    def apply(
        self, subject: Subject, image: Subject, frame: int | None, media_type: str, parameters: Parameters
    ) -> Rendered:
        """One frame of an image, the first without a number, through a state that must be for it.

        Raises InvalidRequest for a window, or when the state is not for this frame; else as the renderer of images.
        """
        if parameters.window is not None:
            raise InvalidRequest("a presentation state brings its own window; name only one of them")
        if subject.kind is not Kind.PRESENTATION_STATE:
            raise InvalidRequest("what is named as presentation state is none")
        state, uid = self._read(subject), image.record.ref.sop_instance_uid
        own = [target for target in targets(state.data_set) if target.sop_instance_uid == uid]
        if not own:
            raise InvalidRequest("the presentation state is not for this image")
        listed = [number for target in own for number in target.frames]
        number = frame or next(iter(listed), 1)
        if listed and number not in listed and all(target.frames for target in own):
            raise InvalidRequest("the presentation state is not for this frame")
        return next(self._image.frames(image, (number,), media_type, parameters, self._for(state, image)))

    def _read(self, subject: Subject) -> State:
        """The state of a subject. Raises TooLarge for one beyond the limit."""
        return State(subject.attributes(self._limit_bytes), subject.fetch)

    def _found(self, subject: Subject, state: State) -> Iterator[tuple[Subject, Sequence[int]]]:
        """(image, its frames) for each image of the state that is in the archive."""
        for target in targets(state.data_set):
            image = _image_of(subject, target)
            if image is not None:
                yield image, target.frames or range(1, self._image.count(image) + 1)

    def _for(self, state: State, image: Subject) -> State:
        """The state with the overlay planes of an image, if it activates them. Raises as `_read`."""
        if not activates_image_overlays(state.data_set):
            return state
        return replace(state, image=Plane(image.attributes(self._limit_bytes), image.fetch))


def _image_of(state: Subject, target: Target) -> Subject | None:
    """The image, which is in the state's study; None when it is not in the archive or cannot be rendered."""
    place = state.record.ref
    ref = ResourceRef(place.site, place.study_instance_uid, target.series_instance_uid, target.sop_instance_uid)
    try:
        image = replace(state, record=state.retrieve.instance(ref))
    except (NotFound, Gone):
        return None
    return image if image.kind is Kind.IMAGE else None
