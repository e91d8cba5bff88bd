"""Structured reports and key object selections for reading: content tree -> HTML, text or XML (PS3.3 §C.17).

Pure: a data set in the DICOM JSON model goes in, text comes out in pieces. `render` takes a media type of FORMS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.attributes import Attributes
from bridge.documents import html, plain, xml
from bridge.documents.report import Report, read_report

# PS3.18 Table 8.7.4-1, category text: text/html is the default, the others are required.
FORMS: dict[str, Callable[[Report], Iterator[str]]] = {
    "text/html": html.pieces,
    "text/plain": plain.pieces,
    "text/xml": xml.pieces,
}


def render(data_set: Attributes, media_type: str, base: str) -> Iterator[bytes]:
    """The document in UTF-8; `base` is the URL of the service root, for the links to what the report refers to."""
    report = read_report(data_set, base)
    return (piece.encode() for piece in FORMS[media_type](report))
