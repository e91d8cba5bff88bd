"""C-FIND: the archive's search, answered one match a response (PS3.4 §C.4.1, PS3.7 §9.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from bridge import audit, identifiers
from bridge.dictionary import vr_of
from bridge.errors import BridgeError
from bridge.identifiers import Document
from bridge.search import Fields, matches
from bridge.search import keys as search_keys
from bridge.search.levels import is_of_patient, reaches
from bridge.search.matchers import Ways
from bridge.search.patients import RELATED, patients, related
from bridge.search.zones import parse_offset
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from scp.command import SUCCESS, Status
from scp.identifier import Gathering, Identifier, understand
from scp.models import PATIENT, QUERY_RETRIEVE
from scp.operation import Answer, Call
from scp.status import CANCELLED, PENDING, PENDING_WITH_UNSUPPORTED_KEYS, TOO_MANY_MATCHES
from storage.attributes import ATTRIBUTES, COMPUTED
from storage.query import Found, Query
from storage.records import Origin

_BETWEEN_CANCELS = 20  # answers after which a cancel is heard
_RETRIEVE_AE_TITLE, _AVAILABILITY, _LEVEL = "00080054", "00080056", "00080052"
_CHARACTER_SET = 0x00080005
_AVAILABLE = {0x00080056: ("CS", "InstanceAvailability")}
# What the index has as text that is written as it is: path -> VR and keyword.
_PLAIN = {
    **{row.path: (row.vr, row.keyword) for row in ATTRIBUTES if len(row.path) == 1 and row.vr != "US"},
    **{(tag,): (vr, keyword) for keyword, (tag, vr, _) in COMPUTED.items()},
}
# Returned, never matched: where to retrieve from (PS3.4 §C.4.1.1.3.2).
_ONLY_RETURNED = {(0x00080054,), (0x00080056,), (0x00880130,), (0x00880140,)}


class Find:
    """One query on its way in, its answers on their way out."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._gathering = Gathering(call)
        self._model = QUERY_RETRIEVE[call.context.abstract_syntax]

    def write(self, chunk: memoryview) -> None:
        """See Operation."""
        self._gathering.write(chunk)

    def complete(self) -> Status:
        """Search and answer. The audit trail notes the outcome."""
        outcome = "success"
        try:
            return self._complete()
        except BridgeError as error:
            outcome = type(error).__name__
            raise
        finally:
            caller, archive = self._call.caller, self._call.archive
            origin = Origin(door="DIMSE", name=caller.ae_title, address=caller.address)
            audit.record("search", at=archive.now(), origin=origin, outcome=outcome)

    def abandon(self) -> None:
        """Nothing is left behind."""

    def _complete(self) -> Status:
        dialogue, dimse = self._call.dialogue, self._call.archive.settings.dimse
        options = self._call.context.options
        question = understand(self._gathering.whole(), self._model.levels, relational=options.relational)
        writer = _Answers(self._call, question)
        for number, found in enumerate(self._found(question, writer.wanted)):
            if number == dimse.search_limit:
                return Status(code=TOO_MANY_MATCHES, comment=f"more than {number} matches; narrow the query")
            if number % _BETWEEN_CANCELS == 0 and dialogue.is_cancelled():
                return Status(code=CANCELLED)
            dialogue.respond(writer.answer(found))
        return SUCCESS

    def _found(self, question: Identifier, wanted: tuple[str, ...] | None) -> Iterator[Found]:
        """All matches in the order of the web door, with what is wanted of them."""
        call, options = self._call, self._call.context.options
        keys = {path: "" if path in _ONLY_RETURNED else value for path, value in question.keys.items()}
        search_keys.check(keys, question.storage_level)
        if question.level == PATIENT:
            search_keys.check_patient(keys)
        ways = Ways(fuzzy=options.fuzzy, empty_value=options.empty_value, multiple_value=options.multiple_value)
        criteria, intervals = search_keys.criteria(keys, ways, combined=options.date_time)
        query = Query(site=call.caller.site, level=question.storage_level, criteria=criteria, intervals=intervals)
        utc_offset = parse_offset(question.utc_offset) if options.timezone and question.utc_offset else None
        if question.level == PATIENT:
            return patients(call.archive, query, utc_offset)
        if utc_offset is None:  # otherwise dates and times must be looked at
            query = replace(query, wanted=wanted)
        return matches(call.archive, query, utc_offset)


class _Answers:
    """Matches as responses: what was asked for, and nothing else (DICOM.md E6)."""

    def __init__(self, call: Call, question: Identifier) -> None:
        self._call = call
        self._question = question
        self._explicit = call.context.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
        self._ae_title = call.archive.settings.dimse.ae_title
        asked = [path for path in question.keys if path not in _ONLY_RETURNED]
        self._related = [path[0] for path in asked if path[0] in RELATED]
        self._asked = [path for path in asked if path[0] not in RELATED]
        known = tuple(path for path in self._asked if _is_returned(question, path))
        self._fields = Fields(frozenset(), known)
        self._known = {f"{path[0]:08X}" for path in known}
        self._empty = _empty([path for path in question.keys if path not in known])
        self._plain = self._plain_form(known)
        is_full = len(known) == len(self._asked)
        self._status = Status(code=PENDING if is_full else PENDING_WITH_UNSUPPORTED_KEYS)

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """The keywords of all that answers are made of; None where more than the index's text is needed."""
        return tuple(keyword for keyword, _ in self._plain[1]) if self._plain is not None else None

    def answer(self, found: Found) -> Answer:
        """The pending response of a match."""
        level = self._question.storage_level
        if self._plain is not None:
            form, texts = self._plain
            text_of = found.attributes.get
            filled = form.fill([text_of(keyword, otherwise) for keyword, otherwise in texts])
            return Answer(status=self._status, data_set=filled)
        (made,) = self._call.door.answers.objects([found], level, self._fields)
        numbers = related(self._call.archive, found) if self._related else {}
        return Answer(status=self._status, data_set=self._encode(made, numbers))

    def _plain_form(self, known: tuple[tuple[int, ...], ...]) -> tuple[identifiers.Form, list[tuple[str, str]]] | None:
        """How to write answers of nothing but text that the index has; (keyword, text otherwise) of its values."""
        fixed = {"QueryRetrieveLevel": self._question.level, "RetrieveAETitle": self._ae_title}
        keywords = {0x00080052: ("CS", "QueryRetrieveLevel"), 0x00080054: ("AE", "RetrieveAETitle"), **_AVAILABLE}
        for path in known:
            if path not in _PLAIN:
                return None
            keywords[path[0]] = _PLAIN[path]
        if self._related or any(element["vr"] == "SQ" for element in self._empty.values()):
            return None
        for tag, element in self._empty.items():
            keywords.setdefault(int(tag, 16), (element["vr"], ""))
        elements = [(tag, vr) for tag, (vr, _) in sorted(keywords.items())]
        if elements[0][0] < _CHARACTER_SET:
            return None
        form = identifiers.Form(elements, explicit=self._explicit, charsets=self._question.charsets)
        return form, [(keyword, fixed.get(keyword, "")) for _, (_, keyword) in sorted(keywords.items())]

    def _encode(self, text: bytes, numbers: Mapping[int, int]) -> bytes:
        made: dict[str, Any] = orjson.loads(text.replace(b"\0", b""))
        document: Document = {**self._empty}
        document.update((tag, element) for tag, element in made.items() if tag in self._known)
        document.update((f"{tag:08X}", {"vr": "IS", "Value": [numbers[tag]]}) for tag in self._related)
        document[_LEVEL] = {"vr": "CS", "Value": [self._question.level]}
        document[_RETRIEVE_AE_TITLE] = {"vr": "AE", "Value": [self._ae_title]}
        document[_AVAILABILITY] = made[_AVAILABILITY]
        return identifiers.write(document, explicit=self._explicit, charsets=self._question.charsets)


def _is_returned(question: Identifier, path: tuple[int, ...]) -> bool:
    if question.level == PATIENT:
        return is_of_patient(path)
    return reaches(question.storage_level, path)


def _empty(paths: list[tuple[int, ...]]) -> Document:
    """Elements without value at these paths."""
    return {f"{path[0]:08X}": {"vr": "SQ" if len(path) > 1 else vr_of(path[0]).partition(" ")[0]} for path in paths}
