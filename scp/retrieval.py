"""What C-GET and C-MOVE share: which instances, and the account of their sub-operations (PS3.4 §C.4.2, §C.4.3).

Every selected instance is counted exactly once, as completed, failed or with a warning, and as remaining before that
(DICOM.md E11-E13). Instances are looked up a page at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Generic, Protocol, TypeVar

from bridge import audit, identifiers, metrics
from bridge.errors import BridgeError, Gone, InvalidRequest, NotFound
from bridge.foresight import foreseen
from bridge.retrieve import Retrieve
from bridge.search import keys as search_keys
from bridge.search import matches
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, lookup
from scp.command import CommandField, Element, Status
from scp.connection import Broken
from scp.identifier import Gathering, Identifier, understand
from scp.models import QUERY_RETRIEVE, UNIQUE_KEYS
from scp.operation import Answer, Call
from scp.status import CANCELLED, PENDING, SOME_FAILED, SUCCESS, UNABLE_TO_PERFORM, is_warning
from storage.query import Query
from storage.records import InstanceRecord, Level, Origin, ResourceRef

_LOG = logging.getLogger(__name__)
_BATCH = 500  # instances looked up together
_NAMED_AT_MOST = 1000  # failed instances named at the end; more do not fit a value of 64 KiB
_COUNTS = {Level.STUDY: "NumberOfStudyRelatedInstances", Level.SERIES: "NumberOfSeriesRelatedInstances"}
_FALLBACKS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
T = TypeVar("T")


class CutOff(Broken):
    """The bytes of an instance ended in the middle of being sent."""


class Carrier(Protocol):
    """How instances reach whoever is to have them."""

    def prepare(self, batch: Sequence[InstanceRecord]) -> None:
        """Get ready for these instances. Raises BridgeError when none of them can be sent."""
        ...

    def send(self, record: InstanceRecord, following: InstanceRecord | None) -> Status:
        """One sub-operation, and the one that comes next. Raises BridgeError for an instance that cannot be sent."""
        ...


@dataclass(slots=True)
class Account:
    """The sub-operations of one retrieval."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def add(self, sop_instance_uid: str, status: Status) -> None:
        """Count one."""
        self.remaining = max(self.remaining - 1, 0)
        if status.code == SUCCESS:
            self.completed += 1
        elif is_warning(status.code):
            self.warning += 1
        else:
            self.failed += 1
            if len(self.failed_uids) < _NAMED_AT_MOST:
                self.failed_uids.append(sop_instance_uid)

    def counts(self, *, with_remaining: bool) -> Mapping[int, int]:
        """As elements of a response (PS3.7 §9.3.3.2)."""
        counts: dict[int, int] = {
            Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS: _us(self.completed),
            Element.NUMBER_OF_FAILED_SUB_OPERATIONS: _us(self.failed),
            Element.NUMBER_OF_WARNING_SUB_OPERATIONS: _us(self.warning),
        }
        if with_remaining:
            counts[Element.NUMBER_OF_REMAINING_SUB_OPERATIONS] = _us(self.remaining)
        return counts

    def final_code(self) -> int:
        """PS3.4 Tables C.4-2 and C.4-3."""
        if not self.failed and not self.warning:
            return SUCCESS
        return SOME_FAILED if self.completed or self.warning else UNABLE_TO_PERFORM


class Retrieval:
    """One C-GET or C-MOVE: its identifier on the way in, its sub-operations, its responses."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._gathering = Gathering(call)
        self._model = QUERY_RETRIEVE[call.context.abstract_syntax]

    def write(self, chunk: memoryview) -> None:
        """See Operation."""
        self._gathering.write(chunk)

    def run(self, carrier: Carrier) -> Answer:
        """Select, send, answer. Raises BridgeError before the first sub-operation, Broken when the requestor left."""
        relational = self._call.context.options.relational
        identifier = understand(self._gathering.whole(), self._model.levels, relational=relational)
        refs, total = self._select(identifier)
        account = Account(total)
        try:
            code = self._perform(refs, account, carrier)
        finally:
            for outcome in ("completed", "failed", "warning"):
                metrics.SENT.labels(self._model.service, outcome).inc(getattr(account, outcome))
        for ref in refs:
            self._audit(ref, code)
        is_cancelled = code == CANCELLED
        return Answer(
            status=Status(code=code),
            extra=account.counts(with_remaining=is_cancelled),
            data_set=self._failures(account),
        )

    def _perform(self, refs: Sequence[ResourceRef], account: Account, carrier: Carrier) -> int:
        dialogue = self._call.dialogue
        for batch in _batches(self._records(refs), _BATCH):
            refused: BridgeError | None = None
            try:
                carrier.prepare(batch)
            except BridgeError as error:
                refused = error
            for record, following in zip_longest(foreseen(self._call.archive, batch), batch[1:]):
                if dialogue.is_cancelled():
                    return CANCELLED
                status = self._failed(record, refused) if refused else self._send(record, following, carrier)
                account.add(record.ref.sop_instance_uid or "", status)
                if account.remaining:
                    pending = Answer(status=Status(code=PENDING), extra=account.counts(with_remaining=True))
                    dialogue.respond(pending, now=self._call.command.field == CommandField.C_MOVE)
        return account.final_code()

    def _send(self, record: InstanceRecord, following: InstanceRecord | None, carrier: Carrier) -> Status:
        try:
            return carrier.send(record, following)
        except BridgeError as error:
            return self._failed(record, error)

    def _failed(self, record: InstanceRecord, error: BridgeError) -> Status:
        _LOG.warning("%s: an instance of %s was not sent: %s", self._call.caller.ae_title, record.sop_class_uid, error)
        return Status(code=UNABLE_TO_PERFORM)

    def _select(self, identifier: Identifier) -> tuple[list[ResourceRef], int]:
        """The resources that the unique keys name, and how many instances they have. Raises InvalidRequest."""
        levels = self._model.levels
        own, tag = UNIQUE_KEYS[identifier.level]
        if not identifier.keys.get((tag,)):
            raise InvalidRequest(f"level {identifier.level} needs {own}")
        unique = {(UNIQUE_KEYS[level][1],) for level in levels[: levels.index(identifier.level) + 1]}
        for path, value in identifier.keys.items():
            if value and path not in unique:
                raise InvalidRequest(f"{path[0]:08X} is no unique key, which is all that a retrieval takes")
            if any(mark in value for mark in "*?"):
                raise InvalidRequest("a retrieval takes no wildcards")
        criteria, _ = search_keys.criteria({path: identifier.keys.get(path, "") for path in unique})
        level = identifier.storage_level
        query = Query(site=self._call.caller.site, level=level, criteria=criteria)
        found = list(matches(self._call.archive, query))
        return [one.ref for one in found], sum(int(one.attributes.get(_COUNTS.get(level, ""), "1")) for one in found)

    def _records(self, refs: Sequence[ResourceRef]) -> Iterator[InstanceRecord]:
        for ref in refs:
            try:
                yield from self._call.door.retrieve.instances(ref)
            except (NotFound, Gone):
                continue  # deleted meanwhile

    def _failures(self, account: Account) -> bytes:
        """Failed SOP Instance UID List (PS3.4 §C.4.2.1.4.2); nothing when none failed."""
        if not account.failed_uids:
            return b""
        explicit = self._call.context.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
        return identifiers.write({"00080058": {"vr": "UI", "Value": account.failed_uids}}, explicit=explicit)

    def _audit(self, ref: ResourceRef, code: int) -> None:
        caller, archive = self._call.caller, self._call.archive
        origin = Origin(door="DIMSE", name=caller.ae_title, address=caller.address)
        outcome = "success" if code == SUCCESS else f"{code:04X}"
        audit.record("retrieve", at=archive.now(), origin=origin, outcome=outcome, ref=ref)


def best(record: InstanceRecord, accepted: Mapping[str, T]) -> tuple[str, T] | None:
    """The transfer syntax to send an instance in and what `accepted` has for it: as stored, else uncompressed (E14)."""
    stored = record.transfer_syntax_uid
    if stored in accepted:
        return stored, accepted[stored]
    known = lookup(stored)
    if known is None or not known.decodable:
        return None
    return next(((uid, accepted[uid]) for uid in _FALLBACKS if uid in accepted), None)


class Supply(Generic[T]):
    """The data sets of instances; that of the next one is fetched while the receiver deals with the one before.

    `choose` gives the transfer syntax of an instance and the context to send it on, or raises NotAcceptable.
    """

    def __init__(self, retrieve: Retrieve, choose: Callable[[InstanceRecord], tuple[str, T]]) -> None:
        self._retrieve = retrieve
        self._choose = choose
        self._ready: tuple[InstanceRecord, T, Iterator[bytes]] | None = None

    def take(self, record: InstanceRecord) -> tuple[T, Iterator[bytes]]:
        """The context and the chunks, `unbroken`. Raises BridgeError."""
        ready, self._ready = self._ready, None
        transfer_syntax, context = self._choose(record)
        if ready is not None and ready[0] is record and ready[1] is context:
            return context, ready[2]
        return context, unbroken(self._retrieve.data_set_chunks(record, transfer_syntax))

    def fetch(self, record: InstanceRecord | None) -> None:
        """Get ready for the next one, if there is one; what is wrong with it shows when it is taken."""
        if record is not None:
            with suppress(BridgeError):
                context, chunks = self.take(record)
                self._ready = (record, context, chunks)


def unbroken(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, the first of them read at once: what is wrong with an instance mostly shows before it is announced.

    Raises BridgeError from this call, CutOff from the iterator.
    """
    first = next(chunks, b"")
    return _rest(first, chunks)


def _rest(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    try:
        yield from chunks
    except BridgeError as error:
        raise CutOff(f"the bytes of an instance ended in the middle: {error}") from error


def _batches(records: Iterator[InstanceRecord], size: int) -> Iterator[list[InstanceRecord]]:
    while batch := list(islice(records, size)):
        yield batch


def _us(number: int) -> int:
    """As far as an unsigned short can count (PS3.7 Annex E)."""
    return min(number, 0xFFFF)
