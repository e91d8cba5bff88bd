"""A report as plain text: one line per fact and content item, indented by depth."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.documents.coded import Reference
from bridge.documents.content import RELATIONSHIPS, ContentItem
from bridge.documents.report import Report

_INDENT_LIMIT = 20  # levels that are still indented further


def pieces(report: Report) -> Iterator[str]:
    """The document."""
    yield f"{_one_line(report.title)}\n{'=' * min(len(report.title), 78)}\n\n"
    for label, value in (*report.patient, *report.document):
        yield f"{label}: {_one_line(value)}\n"
    yield "\n"
    for item in report.items:
        if item.depth:
            yield from _lines(item)
    if report.references:
        yield "\n"
    for label, reference in report.references:
        yield f"{label}: {_described(reference)}\n"


def _described(reference: Reference) -> str:
    return reference.description + (f" <{reference.href}>" if reference.href else "")


def _lines(item: ContentItem) -> Iterator[str]:
    indent = "  " * min(item.depth - 1, _INDENT_LIMIT)
    relation = RELATIONSHIPS.get(item.relationship, item.relationship.lower())
    concept = item.concept.label or item.value_type.capitalize()
    label = f"[{relation}] {concept}" if relation else concept
    values = [item.text] if item.text else []
    values += map(_described, item.references)
    if item.target:
        values.append(f"see {item.target}")
    if item.observed:
        values.append(f"(observed {item.observed})")
    text = " ".join(values).replace("\n", f"\n{indent}  ")
    yield f"{indent}{_one_line(label)}{':' if text else ''}{' ' if text else ''}{text}\n"
    if item.cut:
        yield f"{indent}  (deeper content is not shown)\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
