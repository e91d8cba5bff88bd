"""A report as XML for programs: the content tree as nested `item` elements, codes and references as attributes.

The namespace is our own; docs/dicomweb.md describes it. The Native DICOM Model of the same object is its metadata.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.documents.coded import Code, Reference
from bridge.documents.content import ContentItem
from bridge.documents.report import Fact, Report
from bridge.documents.wording import escaped

NAMESPACE = "urn:dicom-bridge:report"


def pieces(report: Report) -> Iterator[str]:
    """The document."""
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<report xmlns="{NAMESPACE}"'
    yield f' xml:lang="{escaped(report.language)}">\n'
    yield f"<title>{escaped(report.title)}</title>\n"
    yield from _facts("patient", report.patient)
    yield from _facts("document", report.document)
    depth = -1
    for item in report.items:
        yield "</item>\n" * (depth + 1 - item.depth)
        depth = item.depth
        yield from _item(item)
    yield "</item>\n" * (depth + 1)
    for label, reference in report.references:
        yield _reference(reference, f' list="{escaped(label)}"')
    yield "</report>\n"


def _facts(name: str, facts: tuple[Fact, ...]) -> Iterator[str]:
    yield f"<{name}>\n"
    for label, value in facts:
        yield f'<fact name="{escaped(label)}">{escaped(value)}</fact>\n'
    yield f"</{name}>\n"


def _item(item: ContentItem) -> Iterator[str]:
    """The start tag, concept and value; children and the end tag follow."""
    attributes = {
        "position": item.position,
        "relationship": item.relationship,
        "type": item.value_type,
        "target": item.target,
        "observed": item.observed,
        "cut": "true" if item.cut else "",
    }
    yield f"<item{_attributes(attributes)}>\n"
    yield _code("concept", item.concept)
    if item.text:
        yield f"<value>{escaped(item.text)}</value>\n"
    yield _code("unit" if item.value_type == "NUM" else "code", item.code)
    for reference in item.references:
        yield _reference(reference)


def _code(name: str, code: Code) -> str:
    if not code.label:
        return ""
    return f"<{name}{_attributes({'value': code.value, 'scheme': code.scheme})}>{escaped(code.meaning)}</{name}>\n"


def _reference(reference: Reference, more: str = "") -> str:
    attributes = {
        "class": reference.sop_class_uid,
        "instance": reference.sop_instance_uid,
        "frames": " ".join(map(str, reference.frames)),
        "segments": " ".join(map(str, reference.segments)),
        "channels": " ".join(f"{group}.{channel}" for group, channel in reference.channels),
        "href": reference.href,
    }
    return f"<reference{more}{_attributes(attributes)}/>\n"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f' {name}="{escaped(value)}"' for name, value in values.items() if value)
