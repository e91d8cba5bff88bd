"""The DICOM upper layer of acceptor and requestor, without sockets: bytes in, events out (PS3.8 §9).

Data of P-DATA-TF PDUs is handed out as it arrives, as views into the caller's buffer, so neither the size of a PDU nor
the size of an object costs memory here. Everything else is rare and is collected whole, within a named limit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum, IntEnum, auto
from typing import NamedTuple

HEADER = struct.Struct(">BxI")  # of a PDU: type, reserved, length (PS3.8 §9.3.1)
PDV_HEADER = struct.Struct(">IBB")  # length, context id, message control header (PS3.8 §9.3.5.1, Annex E.2)
HEADER_BYTES = 6  # both headers have this size
_DATA_HEADER = struct.Struct(">BxIIBB")  # both, as they stand in a PDU of one value
ASSOCIATE_LIMIT_BYTES = 1 << 20  # of an A-ASSOCIATE-RQ; 128 contexts with every transfer syntax there is take 200 KiB
SHORT_PDU_BYTES = 4  # body of A-RELEASE-RQ, A-RELEASE-RP and A-ABORT

IS_COMMAND = 0x01  # bit 0 of the message control header (PS3.8 Annex E.2)
IS_LAST = 0x02  # bit 1
_TLS_HANDSHAKE = 0x16  # content type of the record that begins TLS (RFC 8446 §5.1): no PDU has it


Piece = bytes | memoryview


class PduType(IntEnum):
    """PS3.8 Table 9-11 and following."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class AbortSource(IntEnum):
    """PS3.8 §9.3.8, Table 9-26."""

    USER = 0
    PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8 §9.3.8, Table 9-26."""

    NONE = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class ProtocolError(Exception):
    """The peer broke the protocol: the association ends with an A-ABORT of this source and reason."""

    def __init__(self, reason: AbortReason, message: str, *, source: AbortSource = AbortSource.PROVIDER) -> None:
        super().__init__(message)
        self.reason = reason
        self.source = source


class State(Enum):
    """The states of PS3.8 Table 9-10 that one can be in while reading."""

    AWAIT_REQUEST = auto()  # Sta2
    AWAIT_DECISION = auto()  # Sta3
    AWAIT_ANSWER = auto()  # Sta5
    AWAIT_RELEASE = auto()  # Sta7
    OPEN = auto()  # Sta6
    CLOSING = auto()  # Sta8 and Sta13: the last PDU was received or sent; nothing more is understood


class AssociateRequested(NamedTuple):
    """A-ASSOCIATE-RQ: the whole PDU, header included. `accepted()` or `closing()` must follow before more is read."""

    pdu: bytes


class AssociateAccepted(NamedTuple):
    """A-ASSOCIATE-AC: the whole PDU, header included."""

    pdu: bytes


class AssociateRejected(NamedTuple):
    """A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int


class Fragment(NamedTuple):
    """Part of a message. `data` is a view that is valid until the next event is asked for."""

    context_id: int
    is_command: bool
    is_last: bool  # nothing of this command set or data set follows
    data: memoryview


class ReleaseRequested(NamedTuple):
    """A-RELEASE-RQ."""


class Released(NamedTuple):
    """A-RELEASE-RP."""


class Aborted(NamedTuple):
    """A-ABORT of the peer."""

    source: int
    reason: int


Event = AssociateRequested | AssociateAccepted | AssociateRejected | Fragment | ReleaseRequested | Released | Aborted

# What may come in which state (PS3.8 Table 9-10). A-ABORT may come at any time.
_EXPECTED = {
    State.AWAIT_REQUEST: {PduType.ASSOCIATE_RQ, PduType.ABORT},
    State.AWAIT_DECISION: {PduType.ABORT},
    State.AWAIT_ANSWER: {PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ, PduType.ABORT},
    State.AWAIT_RELEASE: {PduType.P_DATA_TF, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT},
    State.OPEN: {PduType.P_DATA_TF, PduType.RELEASE_RQ, PduType.ABORT},
}
_KNOWN = frozenset(PduType)


class Reader:
    """One association's reader. Feed it what was received; it never holds more than one rare PDU."""

    def __init__(self, state: State, *, max_pdu_bytes: int) -> None:
        self.state = state
        self.pdus = 0  # complete ones; what the idle timer calls progress
        self._max_pdu_bytes = max_pdu_bytes
        self._carry = bytearray()  # a header, or a rare PDU, that has not arrived whole
        self._pdu_left = 0  # bytes of the P-DATA-TF PDU not yet read
        self._pdv_left = 0  # bytes of the presentation data value not yet read
        self._pdv_context = 0
        self._pdv_control = 0

    def accepted(self) -> None:
        """The association was accepted; data may come."""
        self.state = State.OPEN

    def closing(self) -> None:
        """Our last PDU is sent; whatever comes now is dropped."""
        self.state = State.CLOSING

    def receive(self, data: memoryview) -> Iterator[Event]:
        """Yield the events in `data`. Each must be dealt with before the next is asked for. Raises ProtocolError."""
        position = 0
        end = len(data)
        while self.state is not State.CLOSING:
            if self._pdv_left:
                if position == end:
                    return
                stop = min(position + self._pdv_left, end)
                yield self._fragment(data[position:stop])
                position = stop
                continue
            if not self._carry and not self._pdu_left and self.state is State.OPEN:
                whole = self._whole(data, position, end)
                if whole is not None:
                    position += _DATA_HEADER.size + len(whole.data)
                    yield whole
                    continue
            position = self._collect(data, position, HEADER_BYTES)
            if len(self._carry) < HEADER_BYTES:
                return
            if self._pdu_left:
                yield from self._begin_value()
                continue
            kind, length = HEADER.unpack_from(self._carry)
            self._check(kind, length)
            if kind == PduType.P_DATA_TF:
                self._pdu_left = length
                self._carry.clear()
                continue
            position = self._collect(data, position, HEADER_BYTES + length)
            if len(self._carry) < HEADER_BYTES + length:
                return
            yield self._rare(kind)

    def _whole(self, data: memoryview, position: int, end: int) -> Fragment | None:
        """A P-DATA-TF PDU of one value that lies at `position` whole, as most do; None: the long way has to look."""
        start = position + _DATA_HEADER.size
        if start > end:
            return None
        kind, length, value_length, context_id, control = _DATA_HEADER.unpack_from(data, position)
        stop = position + HEADER_BYTES + length
        if kind != PduType.P_DATA_TF or stop > end or length > self._max_pdu_bytes:
            return None
        if value_length + 4 != length or value_length < 2:
            return None
        self.pdus += 1
        return Fragment(context_id, bool(control & IS_COMMAND), bool(control & IS_LAST), data[start:stop])

    def _collect(self, data: memoryview, position: int, wanted: int) -> int:
        """Fill the carry up to `wanted` bytes; returns the new position."""
        stop = position + max(wanted - len(self._carry), 0)
        self._carry += data[position:stop]
        return min(stop, len(data))

    def _check(self, kind: int, length: int) -> None:
        if kind not in _KNOWN:
            said = ", a TLS handshake; this port speaks plain DICOM" if kind == _TLS_HANDSHAKE else " is not known"
            raise ProtocolError(AbortReason.UNRECOGNIZED_PDU, f"PDU type {kind:02X}H{said}")
        if kind not in _EXPECTED[self.state]:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, f"{PduType(kind).name} may not come now")
        if kind == PduType.P_DATA_TF:
            if length > self._max_pdu_bytes:
                raise ProtocolError(
                    AbortReason.INVALID_PARAMETER, f"P-DATA-TF of {length} bytes; at most {self._max_pdu_bytes} agreed"
                )
            if length < HEADER_BYTES:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, "P-DATA-TF without a presentation data value")
        elif kind in (PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC):
            if length > ASSOCIATE_LIMIT_BYTES:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, f"{PduType(kind).name} of {length} bytes")
        elif length != SHORT_PDU_BYTES:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, f"{PduType(kind).name} of {length} bytes")

    def _begin_value(self) -> Iterator[Event]:
        """The header of a presentation data value is in the carry (PS3.8 §9.3.5.1)."""
        length, self._pdv_context, self._pdv_control = PDV_HEADER.unpack(self._carry)
        self._carry.clear()
        self._pdu_left -= 4 + length  # the length counts all but itself
        self._pdv_left = length - 2
        if self._pdv_left < 0 or self._pdu_left < 0:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "the lengths in a P-DATA-TF contradict each other")
        if 0 < self._pdu_left < HEADER_BYTES:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "stray bytes at the end of a P-DATA-TF")
        if not self._pdv_left:
            yield self._fragment(memoryview(b""))

    def _fragment(self, piece: memoryview) -> Fragment:
        self._pdv_left -= len(piece)
        whole = not self._pdv_left
        if whole and not self._pdu_left:
            self.pdus += 1
        control = self._pdv_control
        return Fragment(self._pdv_context, bool(control & IS_COMMAND), whole and bool(control & IS_LAST), piece)

    def _rare(self, kind: int) -> Event:
        pdu = bytes(self._carry)
        self._carry.clear()
        self.pdus += 1
        if kind == PduType.ASSOCIATE_RQ:
            self.state = State.AWAIT_DECISION
            return AssociateRequested(pdu)
        if kind == PduType.ASSOCIATE_AC:
            self.state = State.OPEN
            return AssociateAccepted(pdu)
        if kind == PduType.RELEASE_RQ:
            return ReleaseRequested()
        self.state = State.CLOSING
        if kind == PduType.RELEASE_RP:
            return Released()
        if kind == PduType.ASSOCIATE_RJ:
            return AssociateRejected(pdu[7], pdu[8], pdu[9])
        return Aborted(pdu[8], pdu[9])


class Acceptor(Reader):
    """The side that was called."""

    def __init__(self, *, max_pdu_bytes: int) -> None:
        super().__init__(State.AWAIT_REQUEST, max_pdu_bytes=max_pdu_bytes)


class Requestor(Reader):
    """The side that called; its A-ASSOCIATE-RQ is sent."""

    def __init__(self, *, max_pdu_bytes: int) -> None:
        super().__init__(State.AWAIT_ANSWER, max_pdu_bytes=max_pdu_bytes)

    def releasing(self) -> None:
        """A-RELEASE-RQ is sent."""
        self.state = State.AWAIT_RELEASE


def reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""
    return HEADER.pack(PduType.ASSOCIATE_RJ, SHORT_PDU_BYTES) + bytes((0, result, source, reason))


def release_request() -> bytes:
    """A-RELEASE-RQ (PS3.8 §9.3.6)."""
    return HEADER.pack(PduType.RELEASE_RQ, SHORT_PDU_BYTES) + bytes(4)


def release_response() -> bytes:
    """A-RELEASE-RP (PS3.8 §9.3.7)."""
    return HEADER.pack(PduType.RELEASE_RP, SHORT_PDU_BYTES) + bytes(4)


def abort(source: int, reason: int) -> bytes:
    """A-ABORT (PS3.8 §9.3.8)."""
    return HEADER.pack(PduType.ABORT, SHORT_PDU_BYTES) + bytes((0, 0, source, reason))


def data(context_id: int, message: bytes, *, is_command: bool, max_pdu_bytes: int) -> bytes:
    """`message` as P-DATA-TF PDUs of one value each, none longer than the peer's limit (0 = no limit; PS3.8 §9.3.5)."""
    if not max_pdu_bytes or len(message) + HEADER_BYTES <= max_pdu_bytes:
        size, control = len(message), IS_LAST | (IS_COMMAND if is_command else 0)
        return _DATA_HEADER.pack(PduType.P_DATA_TF, HEADER_BYTES + size, size + 2, context_id, control) + message
    return b"".join(pieces(context_id, message, is_command=is_command, max_pdu_bytes=max_pdu_bytes))


def pieces(
    context_id: int, message: bytes, *, is_command: bool, max_pdu_bytes: int, is_last: bool = True
) -> list[Piece]:
    """The same without copying: headers and views of the message in turn. Without `is_last` more of it follows."""
    room = max(max_pdu_bytes - HEADER_BYTES, 2) if max_pdu_bytes else max(len(message), 1)
    control = IS_COMMAND if is_command else 0
    found: list[Piece] = []
    view = memoryview(message)
    for start in range(0, max(len(message), 1), room):
        piece = view[start : start + room]
        last = IS_LAST if is_last and start + room >= len(message) else 0
        size = len(piece)
        found.append(_DATA_HEADER.pack(PduType.P_DATA_TF, HEADER_BYTES + size, size + 2, context_id, control | last))
        found.append(piece)
    return found
