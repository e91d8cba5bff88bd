"""What is shown as it was stored: encapsulated documents and models, and video (PS3.18 Table 8.7.4-1; W8, W14).

A video is the stream of its transfer syntax, fragments joined, in whatever container the sender put it; nothing is
remuxed or decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.errors import NotAcceptable, NotFound
from bridge.kinds import stored_types
from bridge.outgoing import frame_table_of
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered, Subject
from bridge.settings import Settings

_DOCUMENT = "00420011"  # Encapsulated Document (PS3.3 §C.24.2)


class StoredRenderer:
    """Renders documents and video: their bytes."""

    def __init__(self, _settings: Settings) -> None:
        pass

    def media_types(self, subject: Subject, /) -> Sequence[str]:
        """The types that kind, class and transfer syntax allow."""
        return stored_types(subject.record.sop_class_uid, subject.record.transfer_syntax_uid)

    def whole(self, subject: Subject, media_type: str, _parameters: Parameters) -> Rendered:
        """The value, also by byte range. Raises NotAcceptable when there is none."""
        table = frame_table_of(subject.record)
        path = _DOCUMENT if table is None else f"{table.description.tag:08X}"
        try:
            value = subject.retrieve.bulk(subject.record, path)
        except NotFound as error:
            raise NotAcceptable(f"the {subject.kind} is empty") from error
        return Rendered(media_type, value.chunks, value.size_bytes, read=value.read)

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """The same."""
        yield self.whole(subject, media_type, parameters)
