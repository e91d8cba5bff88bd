"""A sheet as SVG 1.1: sharp at any size, no script, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.documents.wording import escaped
from bridge.waveforms.sheet import Sheet

_PATTERNS = """<defs>
<pattern id="mm" width="1" height="1" patternUnits="userSpaceOnUse">
<path d="M1 0H0V1" fill="none" stroke="#fad8d8" stroke-width=".1"/></pattern>
<pattern id="cm" width="5" height="5" patternUnits="userSpaceOnUse">
<rect width="5" height="5" fill="url(#mm)"/>
<path d="M5 0H0V5" fill="none" stroke="#eca0a0" stroke-width=".2"/></pattern>
</defs>
"""


def pieces(sheet: Sheet, title: str) -> Iterator[str]:
    """The document; one user unit is one millimetre."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" role="img"'
    yield f' width="{sheet.width:g}mm" height="{sheet.height:g}mm" viewBox="0 0 {sheet.width:g} {sheet.height:g}">\n'
    yield f"<title>{escaped(title)}</title>\n{_PATTERNS}"
    yield '<rect width="100%" height="100%" fill="#fff"/>\n'
    for box in sheet.boxes:
        yield f'<g transform="translate({box.left:g} {box.top:g})"><rect width="{box.width:g}" height="{box.height:g}"'
        yield ' fill="url(#cm)" stroke="#eca0a0" stroke-width=".2"/></g>\n'
    yield '<g fill="none" stroke="#000" stroke-width=".25" stroke-linejoin="round">\n'
    for trace in sheet.traces:
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in trace)
        yield f'<polyline points="{points}"/>\n'
    yield '</g>\n<g font-family="sans-serif">\n'
    for label in sheet.labels:
        yield f'<text x="{label.left:g}" y="{label.base:g}" font-size="{label.size:g}">{escaped(label.text)}</text>\n'
    yield "</g>\n</svg>\n"
