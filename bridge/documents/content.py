"""The content tree of a structured report as a list in reading order (PS3.3 §C.17.3). Pure.

The tree is walked with a list of its own, so nesting costs no stack; how deep it goes and how many items it has are
bounded by the limits of the metadata it is read from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.attributes import Attributes
from bridge.documents import wording
from bridge.documents.coded import NO_CODE, Code, Links, Reference, code

_POINTS_SHOWN = 64  # numbers of a region or of sample positions that are written out
_CELLS_SHOWN = 1024  # of one table
_TEXT_ELSEWHERE = "(a very long text, which the metadata of this report link to)"

# PS3.3 §C.17.3.2.4: Relationship Type -> how it reads between an item and its source.
RELATIONSHIPS = {
    "CONTAINS": "",
    "HAS PROPERTIES": "",
    "HAS OBS CONTEXT": "context",
    "HAS ACQ CONTEXT": "acquisition",
    "HAS CONCEPT MOD": "modifier",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentItem:
    """One content item. `position` counts as PS3.3 §C.17.3.2.5 does: the root is 1, its second child 1.2."""

    position: str
    depth: int  # 0 for the root
    relationship: str  # as in the data set; "" for the root
    value_type: str  # "" for an item by reference
    concept: Code
    text: str  # the value, for reading; "" for a container
    code: Code  # of CODE; the unit of NUM
    references: tuple[Reference, ...] = ()
    target: str = ""  # position of the item meant, for an item by reference
    observed: str = ""  # Observation DateTime
    cut: bool = False  # its children lie deeper than the metadata go


def content_items(report: Attributes, links: Links) -> Iterator[ContentItem]:
    """Every content item, each before its children; the first is the root container."""
    waiting = [("1", 0, report)]
    while waiting:
        position, depth, item = waiting.pop()
        children = item.items("ContentSequence")
        yield _content_item(item, position, depth, links, cut="ContentSequence" in item and not children)
        numbered = [(f"{position}.{number}", depth + 1, child) for number, child in enumerate(children, 1)]
        waiting += reversed(numbered)


def _content_item(item: Attributes, position: str, depth: int, links: Links, *, cut: bool) -> ContentItem:
    value_type = item.text("ValueType")
    target = [] if value_type else [str(int(number)) for number in item.numbers("ReferencedContentItemIdentifier")]
    named = value_type in ("IMAGE", "COMPOSITE", "WAVEFORM")
    return ContentItem(
        position=position,
        depth=depth,
        relationship=item.text("RelationshipType"),
        value_type=value_type,
        concept=code(item, "ConceptNameCodeSequence"),
        text=wording.readable(_READERS.get(value_type, _nothing)(item)),
        code=_code_of(item, value_type),
        references=tuple(_references(item, links)) if named else (),
        target=".".join(target),
        observed=wording.moment(item.text("ObservationDateTime")),
        cut=cut,
    )


def _code_of(item: Attributes, value_type: str) -> Code:
    """The value of CODE, the unit of NUM."""
    if value_type == "CODE":
        return code(item, "ConceptCodeSequence")
    return code(item.item("MeasuredValueSequence"), "MeasurementUnitsCodeSequence") if value_type == "NUM" else NO_CODE


def _references(item: Attributes, links: Links) -> Iterator[Reference]:
    """The object an item refers to, then the presentation state it is to be shown with (PS3.3 §C.18.3, §C.18.4)."""
    for referenced in item.items("ReferencedSOPSequence"):
        yield links.reference(referenced)
        yield from map(links.reference, referenced.items("ReferencedSOPSequence"))


def _nothing(_item: Attributes) -> str:
    return ""


def _text(item: Attributes) -> str:
    """Text so long that the metadata give it by reference stays there."""
    return _TEXT_ELSEWHERE if item.bulk_path("TextValue") else item.text("TextValue")


def _code(item: Attributes) -> str:
    return code(item, "ConceptCodeSequence").label


def _number(item: Attributes) -> str:
    """Value and unit, with all the values of a fraction; a qualifier says why there is none (PS3.3 §C.18.1)."""
    measured = item.item("MeasuredValueSequence")
    value = measured.text("NumericValue") or measured.text("FloatingPointValue")
    unit = code(measured, "MeasurementUnitsCodeSequence")
    shown = "" if unit.value in ("1", "{no units}", "no units") else unit.value or unit.meaning
    qualifier = code(item, "NumericValueQualifierCodeSequence").label
    return " ".join(part for part in (value, shown if value else "", f"({qualifier})" if qualifier else "") if part)


def _region(item: Attributes) -> str:
    """A spatial coordinate item (PS3.3 §C.18.6, §C.18.9)."""
    frame = item.text("ReferencedFrameOfReferenceUID")
    origin = item.text("PixelOriginInterpretation")
    notes = [f"pixel origin {origin.lower()}" if origin else "", f"frame of reference {frame}" if frame else ""]
    return "; ".join(filter(None, [f"{item.text('GraphicType')} {_list(item.texts('GraphicData'))}", *notes]))


def _moments(item: Attributes) -> str:
    """A temporal coordinate item (PS3.3 §C.18.7)."""
    samples = _list(item.texts("ReferencedSamplePositions"))
    offsets = _list(item.texts("ReferencedTimeOffsets"))
    moments = _list([wording.moment(text) for text in item.texts("ReferencedDateTime")])
    parts = [f"samples {samples}" if samples else "", f"{offsets} s" if offsets else "", moments]
    return "; ".join(filter(None, [item.text("TemporalRangeType"), *parts]))


def _table(item: Attributes) -> str:
    """A table of values, a line per row (PS3.3 §C.18.10)."""
    rows: dict[int, list[str]] = {}
    for cell in item.item("TabulatedValuesSequence").items("CellValuesSequence")[:_CELLS_SHOWN]:
        value = cell.text("TextValue") or code(cell, "ConceptCodeSequence").label
        rows.setdefault(cell.integer("TableRowNumber"), []).append(value or ", ".join(cell.texts("NumericValue")))
    return "\n".join("\t".join(row) for _, row in sorted(rows.items()))


def _list(values: list[str]) -> str:
    rest = len(values) - _POINTS_SHOWN
    return ", ".join(values[:_POINTS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


# PS3.3 Table C.17.3-7: Value Type -> its value as text. IMAGE, COMPOSITE and WAVEFORM are references.
_READERS: dict[str, Callable[[Attributes], str]] = {
    "CODE": _code,
    "DATE": lambda item: wording.date(item.text("Date")),
    "DATETIME": lambda item: wording.moment(item.text("DateTime")),
    "NUM": _number,
    "PNAME": lambda item: wording.name(item.text("PersonName")),
    "SCOORD": _region,
    "SCOORD3D": _region,
    "TABLE": _table,
    "TCOORD": _moments,
    "TEXT": _text,
    "TIME": lambda item: wording.time(item.text("Time")),
    "UIDREF": lambda item: item.text("UID"),
}
