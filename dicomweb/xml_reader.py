"""Native DICOM Model XML -> DICOM JSON object (PS3.19 §A.1, PS3.18 §F.3; the other way round of `xml`). Pure.

Documents with a document type, and with it entities, are refused: nobody needs them, and they swell or read files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from bridge.errors import InvalidInstance

DEPTH_LIMIT = 1000  # elements inside each other
_EMPTY_VALUES_LIMIT = 1000  # numbers left out before a value
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")  # PS3.19 Table A.1.5-2
_GROUPS = frozenset({"Alphabetic", "Ideographic", "Phonetic"})
_DATA_SETS = frozenset({"NativeDicomModel", "Item"})
_TEXT = frozenset({"Value", "InlineBinary", *_COMPONENTS})


def read_native_model(data: bytes) -> dict[str, Any]:
    """The JSON object of one document. Raises InvalidInstance for anything that is no Native DICOM Model."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InvalidInstance(f"the XML is not well-formed: {expat.errors.messages[error.code]}") from error
    return reader.document


def _refuse_doctype(*_: object) -> None:
    raise InvalidInstance("the XML has a document type declaration; leave it out")


@dataclass(slots=True)
class _Frame:
    """One element that is open: what it makes, None where that is text alone, and the text in it."""

    name: str
    attributes: dict[str, str]
    made: dict[str, Any] | None = None
    text: list[str] = field(default_factory=list)


class _Reader:
    """Handlers of the parser. What an element makes is filled by the elements inside it."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self._open: list[_Frame] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        if len(self._open) >= DEPTH_LIMIT:
            raise InvalidInstance("the elements of the XML are nested too deep")
        if not self._open and name != "NativeDicomModel":
            raise InvalidInstance("the XML is no NativeDicomModel")
        frame = _Frame(name, attributes)
        if name == "DicomAttribute":
            frame.made = {"vr": attributes["vr"]} if "vr" in attributes else {}
        elif name in _DATA_SETS or name == "PersonName" or name in _GROUPS:
            frame.made = {}
        self._open.append(frame)

    def text(self, data: str) -> None:
        if self._open[-1].name in _TEXT:
            self._open[-1].text.append(data)

    def end(self, _name: str) -> None:
        frame = self._open.pop()
        if not self._open:
            self.document = frame.made or {}
            return
        outer = self._open[-1]
        if outer.made is None:
            return
        if frame.name == "DicomAttribute" and outer.name in _DATA_SETS:
            tag = frame.attributes.get("tag", "").upper()
            if tag in outer.made:
                raise InvalidInstance("the XML has the same attribute twice")
            outer.made[tag] = frame.made
        elif outer.name == "DicomAttribute":
            _fill(outer.made, frame)
        elif outer.name == "PersonName" and frame.name in _GROUPS and frame.made is not None:
            parts = [frame.made.get(name, "") for name in _COMPONENTS]
            outer.made[frame.name] = "^".join(parts).rstrip("^")
        elif outer.name in _GROUPS and frame.name in _COMPONENTS:
            outer.made[frame.name] = "".join(frame.text)


def _fill(attribute: dict[str, Any], frame: _Frame) -> None:
    """Put what stood inside an attribute into it."""
    if frame.name == "BulkData":
        attribute["BulkDataURI"] = frame.attributes.get("uri") or frame.attributes.get("uuid", "")
    elif frame.name == "InlineBinary":
        attribute["InlineBinary"] = "".join("".join(frame.text).split())
    elif frame.name in ("Value", "Item", "PersonName"):
        made = "".join(frame.text) if frame.name == "Value" else frame.made
        _put(attribute.setdefault("Value", []), frame.attributes.get("number", ""), made)


def _put(values: list[Any], number: str, made: object) -> None:
    """Values come in the order of their numbers; a number left out is an empty value (PS3.19 Table A.1.5-2)."""
    at = int(number) if number.isdecimal() and len(number) < 10 else len(values) + 1
    if not len(values) < at <= len(values) + _EMPTY_VALUES_LIMIT:
        raise InvalidInstance("the values of an attribute in the XML are not numbered in order")
    values.extend([None] * (at - 1 - len(values)))
    values.append(made)
