"""DICOM JSON object -> Native DICOM Model XML (PS3.18 §F.3, PS3.19 §A.1; DICOM.md J14). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # not a Char of XML 1.0 §2.2
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")  # PS3.19 Table A.1.5-2
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Element = dict[str, Any]


def native_model(document: dict[str, Element]) -> bytes:
    """The XML document of one DICOM JSON object, UTF-8."""
    pieces = ['<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xml:space="preserve">']
    pieces.extend(_attributes(document))
    pieces.append("</NativeDicomModel>\n")
    return "".join(pieces).encode()


def _attributes(document: dict[str, Element]) -> Iterator[str]:
    for key in sorted(document):
        element = document[key]
        yield f"<DicomAttribute tag={quoteattr(key)} vr={quoteattr(str(element.get('vr', 'UN')))}"
        yield f"{_keyword(key)}{_creator(key, document)}>"
        yield from _content(element)
        yield "</DicomAttribute>"


def _content(element: Element) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={quoteattr(_clean(element['BulkDataURI']))}/>"
    elif "InlineBinary" in element:
        yield f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    else:
        for number, value in enumerate(element.get("Value", []), 1):
            yield from _value(str(element.get("vr")), number, value)


def _value(vr: str, number: int, value: Any) -> Iterator[str]:
    if vr == "SQ":
        yield f'<Item number="{number}">'
        yield from _attributes(value or {})
        yield "</Item>"
    elif vr == "PN":
        yield f'<PersonName number="{number}">'
        yield from _person_name(value or {})
        yield "</PersonName>"
    elif value is not None:  # an empty value among several is told by the numbers left out
        yield f'<Value number="{number}">{_content_of(value)}</Value>'


def _person_name(groups: dict[str, str]) -> Iterator[str]:
    for group in _GROUPS:
        if groups.get(group):
            yield f"<{group}>"
            for name, component in zip(_COMPONENTS, groups[group].split("^"), strict=False):
                if component:
                    yield f"<{name}>{_content_of(component)}</{name}>"
            yield f"</{group}>"


def _keyword(key: str) -> str:
    from pydicom.datadict import keyword_for_tag  # only here: JSON clients never need the dictionary

    keyword = keyword_for_tag(int(key, 16))
    return f' keyword="{keyword}"' if keyword else ""


def _creator(key: str, document: dict[str, Element]) -> str:
    """The privateCreator attribute of a private element (PS3.19 Table A.1.5-2)."""
    tag = int(key, 16)
    if not tag >> 16 & 1 or tag & 0xFFFF < 0x1000:
        return ""
    block = document.get(f"{tag & 0xFFFF0000 | tag >> 8 & 0xFF:08X}", {})
    names = block.get("Value", [])
    return f" privateCreator={quoteattr(_clean(names[0]))}" if names else ""


def _content_of(value: object) -> str:
    """Character data; a carriage return needs a reference, or parsers make a line feed of it (XML 1.0 §2.11)."""
    return escape(_clean(value), {"\r": "&#13;"})


def _clean(value: object) -> str:
    return _FORBIDDEN.sub("\ufffd", str(value))
