"""A report as one HTML5 page: no script, nothing from outside, its own stylesheet; fit for print and screen readers.

Everything from the data set goes through `escaped`. Containers become sections with headings, other items lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.documents.coded import Reference
from bridge.documents.content import RELATIONSHIPS, ContentItem
from bridge.documents.report import Fact, Report
from bridge.documents.wording import escaped

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, "Noto Sans CJK SC", sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { border-bottom: 2px solid; margin-bottom: 1rem; padding-bottom: .75rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.2rem; } h3 { font-size: 1.05rem; }
h2, h3, h4, h5, h6 { margin: 1rem 0 .25rem; } h4, h5, h6 { font-size: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; margin: .25rem 0; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; }
.patient { font-size: 1.1rem; font-weight: 600; }
p { margin: .15rem 0; overflow-wrap: anywhere; }
.value { white-space: pre-wrap; tab-size: 4; }
.concept { font-weight: 600; } .relation, .note { font-style: italic; opacity: .75; }
.below { margin-left: 1rem; border-left: 1px solid #8888; padding-left: .75rem; }
.below .below .below .below .below .below .below .below { margin-left: 0; padding-left: .25rem; }
a { color: LinkText; } .below:empty { display: none; } :target { outline: 2px solid; }
@media print { body { max-width: none; } }
"""
_LOWEST_HEADING = 6


def pieces(report: Report) -> Iterator[str]:
    """The document."""
    title = escaped(report.title)
    yield f'<!DOCTYPE html>\n<html lang="{escaped(report.language)}">\n<head>\n<meta charset="utf-8">\n'
    yield f"<title>{title}</title>\n"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n"
    yield from _facts(report.patient, "patient")
    yield f"<h1>{title}</h1>\n"
    yield from _facts(report.document, "document")
    yield "</header>\n<main>\n"
    yield from _content(report.items)
    yield "</main>\n"
    yield from _footer(report)
    yield "</body>\n</html>\n"


def _facts(facts: tuple[Fact, ...], kind: str) -> Iterator[str]:
    if facts:
        yield f'<dl class="{kind}">\n'
        for label, value in facts:
            yield f"<dt>{escaped(label)}</dt><dd>{escaped(value)}</dd>\n"
        yield "</dl>\n"


def _content(items: Iterator[ContentItem]) -> Iterator[str]:
    """The tree; the root itself is the page's title."""
    open_tags: list[str] = []  # of the items on the way to the current one, by depth
    for item in items:
        while len(open_tags) >= max(item.depth, 1):
            yield open_tags.pop()
        if item.depth:
            container = item.value_type == "CONTAINER"
            yield from _heading(item) if container else _line(item)
            open_tags.append("</section>\n" if container else "</div></div>\n")
        if item.cut:
            yield '<p class="note">Deeper content is not shown.</p>\n'
    yield from reversed(open_tags)


def _heading(item: ContentItem) -> Iterator[str]:
    level = min(item.depth + 1, _LOWEST_HEADING)
    label = escaped(item.concept.label) or "Section"
    yield f'<section id="item-{item.position}">\n<h{level}>{_relation(item)}{label}{_observed(item)}</h{level}>\n'


def _line(item: ContentItem) -> Iterator[str]:
    """One item; the box for its children stays open."""
    label = escaped(item.concept.label or item.value_type.capitalize())
    separator = ": " if label else ""
    yield f'<div id="item-{item.position}"><p>{_relation(item)}<span class="concept">{label}{separator}</span>'
    if item.text:
        code = escaped(f"{item.code.value} {item.code.scheme}".strip())
        title = f' title="{code}"' if code else ""
        yield f'<span class="value"{title}>{escaped(item.text)}</span>'
    yield ", ".join(map(_link, item.references))
    if item.target:
        yield f'<a href="#item-{escaped(item.target)}">see item {escaped(item.target)}</a>'
    yield f'{_observed(item)}</p>\n<div class="below">'


def _relation(item: ContentItem) -> str:
    words = RELATIONSHIPS.get(item.relationship, item.relationship.lower())
    return f'<span class="relation">{escaped(words)}</span> ' if words else ""


def _observed(item: ContentItem) -> str:
    return f' <span class="note">(observed {escaped(item.observed)})</span>' if item.observed else ""


def _link(reference: Reference) -> str:
    text = escaped(reference.description)
    return f'<a href="{escaped(reference.href)}">{text}</a>' if reference.href else text


def _footer(report: Report) -> Iterator[str]:
    """The objects that the report lists, by list."""
    if not report.references:
        return
    yield "<footer>\n<h2>Referenced objects</h2>\n<ul>\n"
    for label, reference in report.references:
        yield f"<li>{escaped(label)}: {_link(reference)}</li>\n"
    yield "</ul>\n</footer>\n"
