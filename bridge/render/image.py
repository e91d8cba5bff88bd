"""Images: frames drawn one by one, where they are small and native right here, else in a codec worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import orjson
from PIL import Image

from bridge.attributes import Attributes
from bridge.errors import NotAcceptable, NotFound
from bridge.extents import DataSetBytes
from bridge.frame_reader import check_numbers, codestreams, frame_count, native_frames
from bridge.frames import FrameTable, PixelDescription
from bridge.outgoing import frame_table_of
from bridge.pixel_job import decoded_photometric_interpretation
from bridge.presentation.values import Presentation, without_texts
from bridge.render.headers import Headers
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered, Subject, rendered
from bridge.render.timing import durations_ms
from bridge.render.wording import PATIENT, TECHNIQUE, annotation_lines
from bridge.rendering.drawing import RAW, Drawing, draw, raw_image
from bridge.rendering.encoding import GIF, STILLS, animated
from bridge.rendering.header import Header
from bridge.rendering.profiles import NO, YES
from bridge.rendering.refusal import Unpaintable
from bridge.settings import Settings
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, lookup
from storage.records import InstanceRecord


class State(Protocol):
    """A presentation state, as far as images know it."""

    def of_frame(
        self, image: dict[str, Any], description: PixelDescription, sop_instance_uid: str, frame: int
    ) -> tuple[dict[str, Any], Presentation]:
        """(the attributes of a frame as the state wants them, what the state puts on it)."""
        ...


class ImageRenderer:
    """Renders images."""

    def __init__(self, settings: Settings) -> None:
        rendering = settings.rendering
        self._inline_frame_bytes = rendering.inline_frame_bytes
        self._animation_limit_bytes = rendering.animation_limit_bytes
        self._headers = Headers(
            limit_bytes=rendering.header_cache_bytes,
            header_limit_bytes=rendering.header_limit_bytes,
            fallback_charset=settings.ingest.fallback_charset,
        )

    def media_types(self, _subject: Subject, /) -> Sequence[str]:
        """What an image can be rendered as, the default first."""
        return STILLS

    def whole(self, subject: Subject, media_type: str, parameters: Parameters) -> Rendered:
        """One picture that stands for the instance: its only frame, the one it names for that, or the middle one.

        As a GIF all frames, in motion. Raises as `frames` does.
        """
        table = _table_of(subject)
        count = frame_count(table)
        if count > 1 and media_type == GIF and parameters.motion:
            return self._animation(subject, count, parameters)
        number = (count + 1) // 2
        if count > 1:
            header, _ = self._header(subject, table)
            named = Attributes(header.about).integer("RepresentativeFrameNumber")
            number = named if 0 < named <= count else number
        return next(self.frames(subject, (number,), media_type, parameters))

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """Every frame."""
        return self.frames(subject, range(1, self.count(subject) + 1), media_type, parameters)

    def image_type(self, subject: Subject) -> list[str]:
        """The values of Image Type. Raises NotAcceptable when the header cannot be read."""
        header, _ = self._header(subject, _table_of(subject))
        return Attributes(header.about).texts("ImageType")

    def count(self, subject: Subject) -> int:
        """How many frames the image has."""
        return frame_count(_table_of(subject))

    def frames(
        self,
        subject: Subject,
        numbers: Sequence[int],
        media_type: str,
        parameters: Parameters,
        state: State | None = None,
    ) -> Iterator[Rendered]:
        """These frames in this order, duplicates kept, through a presentation state where there is one.

        Raises InvalidRequest, NotFound, NotAcceptable.
        """
        table = _table_of(subject)
        check_numbers(table, numbers)
        record = subject.record
        stored = lookup(record.transfer_syntax_uid)
        if table.encapsulated and (stored is None or not stored.decodable):
            name = stored.name if stored else record.transfer_syntax_uid
            raise NotAcceptable(f"{name} cannot be decoded here, so it cannot be rendered")
        header, source = self._header(subject, table)
        read = codestreams if table.encapsulated else native_frames
        asked = (
            (b"".join(frame.chunks), _drawing(table, record, header, frame.number, media_type, parameters, state))
            for frame in read(table, numbers, source)
        )
        is_one_of_several = frame_count(table) > 1
        for number, body in zip(numbers, self._drawn(subject, table, asked, len(numbers)), strict=True):
            yield rendered(media_type, body, number if is_one_of_several else None)

    def _animation(self, subject: Subject, count: int, parameters: Parameters) -> Rendered:
        """All frames as one GIF. Raises NotAcceptable beyond the limit of what is held in memory for it."""
        images: list[Image.Image] = []
        for frame in self.frames(subject, range(1, count + 1), RAW, parameters):
            body = b"".join(frame.chunks)
            if len(body) * count > self._animation_limit_bytes:
                raise NotAcceptable("the animation would be too large; ask for a smaller viewport or single frames")
            images.append(raw_image(body))
        header, _ = self._header(subject, _table_of(subject))
        return rendered(GIF, animated(images, durations_ms(Attributes(header.about), count)))

    def _header(self, subject: Subject, table: FrameTable) -> tuple[Header, DataSetBytes]:
        return self._headers.of(subject.record, table, subject.retrieve.data_set(subject.record))

    def _drawn(
        self, subject: Subject, table: FrameTable, asked: Iterator[tuple[bytes, Drawing]], count: int
    ) -> Iterator[bytes]:
        """Pictures of (frame as stored, how it is wanted): compressed ones by all codec workers at a time."""
        pixels, uid = subject.retrieve.pixels, subject.record.transfer_syntax_uid
        if not table.encapsulated:
            return (self._drawn_native(subject, table, frame, drawing) for frame, drawing in asked)
        frames = ((codestream, drawing.to_json()) for codestream, drawing in asked)
        if count > 1:
            return pixels.draw_all(frames, table.description, uid)
        return (pixels.draw(codestream, table.description, uid, drawing) for codestream, drawing in frames)

    def _drawn_native(self, subject: Subject, table: FrameTable, frame: bytes, drawing: Drawing) -> bytes:
        reads_profile = drawing.own_profile and drawing.icc_profile not in (NO, YES)  # a stranger's, by a library in C
        if len(frame) > self._inline_frame_bytes or reads_profile:
            json = drawing.to_json()
            return subject.retrieve.pixels.draw(frame, table.description, EXPLICIT_VR_LITTLE_ENDIAN, json)
        try:
            return draw(frame, drawing)
        except Unpaintable as error:
            raise NotAcceptable(str(error)) from error


def _table_of(subject: Subject) -> FrameTable:
    table = frame_table_of(subject.record)
    if table is None:
        raise NotFound("the instance has no pixel data")
    return table


def _drawing(
    table: FrameTable,
    record: InstanceRecord,
    header: Header,
    number: int,
    media_type: str,
    parameters: Parameters,
    state: State | None,
) -> Drawing:
    description = table.description
    if table.encapsulated:
        description = replace(
            description,
            planar_configuration=0,
            photometric_interpretation=decoded_photometric_interpretation(
                record.transfer_syntax_uid, description.photometric_interpretation
            ),
        )
    attributes: dict[str, Any] = header.of_frame(number)
    presentation: Presentation | None = None
    if state is not None:
        uid = record.ref.sop_instance_uid or ""
        attributes, presentation = state.of_frame(attributes, description, uid, number)
        presentation = presentation if parameters.texts else without_texts(presentation)
    return Drawing(
        description=description,
        attributes_json=orjson.dumps(attributes),
        presentation=presentation,
        media_type=media_type,
        quality=parameters.quality,
        window=parameters.window,
        viewport=parameters.viewport,
        left=_lines(header, PATIENT, parameters),
        right=_lines(header, TECHNIQUE, parameters),
        icc_profile=parameters.icc_profile,
        own_profile=b"" if parameters.icc_profile == NO else header.profile,
    )


def _lines(header: Header, kind: str, parameters: Parameters) -> tuple[str, ...]:
    return annotation_lines(Attributes(header.about), kind) if kind in parameters.annotation else ()
