"""Structured reports and key object selections: their content tree as a page, as plain text or as XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge import documents
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered, Subject, rendered
from bridge.settings import Settings


class ReportRenderer:
    """Renders reports."""

    def __init__(self, settings: Settings) -> None:
        self._limit_bytes = settings.rendering.report_limit_bytes

    def media_types(self, _subject: Subject, /) -> Sequence[str]:
        """Text in three forms."""
        return tuple(documents.FORMS)

    def whole(self, subject: Subject, media_type: str, parameters: Parameters) -> Rendered:
        """The report in UTF-8. Raises TooLarge for one beyond the limit."""
        report = subject.attributes(self._limit_bytes)
        body = b"".join(documents.render(report, media_type, parameters.base))
        return rendered(f"{media_type}; charset=utf-8", body)

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """The same."""
        yield self.whole(subject, media_type, parameters)
