"""Images: frames drawn one by one, where they are small and native right here, else in a codec worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import orjson

from bridge.config import Settings
from bridge.errors import NotAcceptable, NotFound
from bridge.frame_reader import FrameBytes, check_numbers, codestreams, frame_count, native_frames
from bridge.frames import FrameTable, PixelDescription
from bridge.outgoing import frame_table_of
from bridge.pixel_job import decoded_photometric_interpretation
from bridge.presentation.values import Presentation, without_texts
from bridge.render.headers import Headers
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered, Subject, rendered
from bridge.rendering.drawing import Drawing, draw
from bridge.rendering.encoding import STILLS
from bridge.rendering.header import Header
from bridge.rendering.refusal import Unpaintable
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
        self._headers = Headers(
            limit_bytes=rendering.header_cache_bytes,
            header_limit_bytes=rendering.header_limit_bytes,
            fallback_charset=settings.ingest.fallback_charset,
        )

    def media_types(self, _subject: Subject, /) -> Sequence[str]:
        """What an image can be rendered as, the default first."""
        return STILLS

    def whole(self, subject: Subject, media_type: str, parameters: Parameters) -> Rendered:
        """One picture that stands for the instance: its only frame, or the middle one."""
        return next(self.frames(subject, ((self.count(subject) + 1) // 2,), media_type, parameters))

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """Every frame."""
        return self.frames(subject, range(1, self.count(subject) + 1), media_type, parameters)

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
        header, source = self._headers.of(record, table, subject.retrieve.data_set(record))
        read = codestreams if table.encapsulated else native_frames
        frames = read(table, numbers, source)
        for frame in frames:
            drawing = _drawing(table, record, header, frame.number, media_type, parameters, state)
            body = self._drawn(subject, table, frame, drawing)
            yield rendered(media_type, body, frame.number if frame_count(table) > 1 else None)

    def _drawn(self, subject: Subject, table: FrameTable, frame: FrameBytes, drawing: Drawing) -> bytes:
        data = b"".join(frame.chunks)
        pixels = subject.retrieve.pixels
        if table.encapsulated:
            uid = subject.record.transfer_syntax_uid
            return pixels.draw(data, table.description, uid, drawing.to_json())
        if len(data) > self._inline_frame_bytes:
            return pixels.draw(data, table.description, EXPLICIT_VR_LITTLE_ENDIAN, drawing.to_json())
        try:
            return draw(data, drawing)
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
    )
