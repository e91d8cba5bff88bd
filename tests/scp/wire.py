"""Builders: a peer that speaks the upper layer byte by byte, rightly or wrongly (PS3.8 §9.3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from types import TracebackType

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
COMMAND, DATA, LAST = 1, 0, 2
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
NO_DATA_SET, WITH_DATA_SET = 0x0101, 0x0001
MAXIMUM_LENGTH = struct.pack(">BBHI", 0x51, 0, 4, 16384)
ECHO_CONTEXT = (1, VERIFICATION, (IMPLICIT,))
STORE_CONTEXT = (3, CT, (EXPLICIT,))
PATIENCE_S = 10.0

Context = tuple[int, str, Sequence[str]]


def pdu(kind: int, body: bytes) -> bytes:
    """Any PDU."""
    return struct.pack(">BxI", kind, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item."""
    return struct.pack(">BxH", kind, len(value)) + value


def associate(
    *contexts: Context,
    calling: str = "SENDER",
    called: str = "BRIDGE",
    user_items: bytes = MAXIMUM_LENGTH,
    application_context: str = APPLICATION_CONTEXT,
    version: int = 1,
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    titles = called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    items = item(0x10, application_context.encode()) + b"".join(map(proposal, contexts))
    return pdu(ASSOCIATE_RQ, struct.pack(">H2x", version) + titles + items + item(0x50, user_items))


def proposal(context: Context) -> bytes:
    """A presentation context item."""
    number, abstract_syntax, transfer_syntaxes = context
    names = item(0x30, abstract_syntax.encode()) + b"".join(item(0x40, name.encode()) for name in transfer_syntaxes)
    return item(0x20, bytes((number, 0, 0, 0)) + names)


def value(context_id: int, control: int, data: bytes) -> bytes:
    """A presentation data value."""
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def message(context_id: int, kind: int, data: bytes, *, fragment_bytes: int = 8192, values_per_pdu: int = 1) -> bytes:
    """A command set or data set as P-DATA-TF PDUs."""
    starts = range(0, max(len(data), 1), fragment_bytes)
    values = [
        value(context_id, kind | (LAST if start == starts[-1] else 0), data[start : start + fragment_bytes])
        for start in starts
    ]
    return b"".join(
        pdu(P_DATA, b"".join(values[first : first + values_per_pdu])) for first in range(0, len(values), values_per_pdu)
    )


def command(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """A command set with its group length."""
    body = b"".join(struct.pack("<HHI", 0, number, len(data)) + data for number, data in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def request(
    field: int, message_id: int = 1, *, data_set: int = NO_DATA_SET, sop_class: str = "", sop: str = ""
) -> bytes:
    """A request's command set."""
    elements = [
        (0x0002, padded(sop_class)),
        (0x0100, struct.pack("<H", field)),
        (0x0110, struct.pack("<H", message_id)),
        (0x0700, struct.pack("<H", 0)),
        (0x0800, struct.pack("<H", data_set)),
        (0x1000, padded(sop)),
    ]
    return command((number, data) for number, data in elements if data)


def echo(message_id: int = 1) -> bytes:
    """C-ECHO-RQ."""
    return request(0x0030, message_id, sop_class=VERIFICATION)


def store(sop: str, message_id: int = 1, *, sop_class: str = CT) -> bytes:
    """C-STORE-RQ."""
    return request(0x0001, message_id, data_set=WITH_DATA_SET, sop_class=sop_class, sop=sop)


def padded(uid: str) -> bytes:
    """A UI value of even length."""
    return uid.encode() + b"\0" * (len(uid) % 2)


def elements(command_set: bytes) -> dict[int, bytes]:
    """A command set taken apart."""
    found, position = {}, 0
    while position < len(command_set):
        _, number, length = struct.unpack_from("<HHI", command_set, position)
        found[number] = command_set[position + 8 : position + 8 + length]
        position += 8 + length
    return found


class Peer:
    """A raw connection to the door."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send as it is."""
        self.socket.sendall(data)

    def read(self) -> tuple[int, bytes]:
        """The next PDU: type and body. Raises EOFError when the connection is closed."""
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def associate(self, *contexts: Context, **options: object) -> dict[int, tuple[int, str]]:
        """Associate; returns context id -> (result, transfer syntax)."""
        self.send(associate(*contexts, **options))  # type: ignore[arg-type]  # handed on as they are
        kind, body = self.read()
        assert kind == ASSOCIATE_AC, f"PDU {kind}: {body.hex()}"
        return results(body)

    def response(self) -> dict[int, bytes]:
        """The next message's command set, taken apart."""
        whole = b""
        while True:
            kind, body = self.read()
            assert kind == P_DATA, f"PDU {kind}: {body.hex()}"
            length, _context_id, control = struct.unpack_from(">IBB", body)
            assert length + 4 == len(body)
            whole += body[6:]
            if control & LAST:
                return elements(whole)

    def message(self) -> tuple[dict[int, bytes], bytes]:
        """The next message: command set and data set."""
        command_set = self.response()
        data_set, is_last = b"", command_set[0x0800] == NO_DATA_SET.to_bytes(2, "little")
        while not is_last:
            kind, body = self.read()
            assert kind == P_DATA, f"PDU {kind}: {body.hex()}"
            data_set += body[6:]
            is_last = bool(body[5] & LAST)
        return command_set, data_set

    def status(self) -> int:
        """The status of the next response."""
        return int.from_bytes(self.response()[0x0900], "little")

    def echo(self) -> int:
        """C-ECHO on context 1."""
        self.send(message(1, COMMAND, echo()))
        return self.status()

    def store(self, sop: str, data_set: bytes, *, fragment_bytes: int = 8192, context_id: int = 3) -> int:
        """C-STORE on context 3."""
        self.send_store(sop, data_set, fragment_bytes=fragment_bytes, context_id=context_id)
        return self.status()

    def send_store(self, sop: str, data_set: bytes, *, fragment_bytes: int = 8192, context_id: int = 3) -> None:
        """C-STORE on context 3, without waiting for the answer."""
        self.send(message(context_id, COMMAND, store(sop)))
        self.send(message(context_id, DATA, data_set, fragment_bytes=fragment_bytes))

    def release(self) -> None:
        """A-RELEASE and the end of the connection."""
        self.send(pdu(RELEASE_RQ, bytes(4)))
        assert self.read() == (RELEASE_RP, bytes(4))
        self.expect_end()

    def expect_abort(self, source: int, reason: int) -> None:
        """A-ABORT of this source and reason, and the end of the connection."""
        kind, body = self.read()
        assert (kind, body[2], body[3]) == (ABORT, source, reason)
        self.expect_end()

    def expect_end(self) -> None:
        """The connection is closed and nothing more comes."""
        assert self.socket.recv(1) == b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the door closed the connection")
            data += piece
        return data


def results(body: bytes) -> dict[int, tuple[int, str]]:
    """The presentation contexts in an A-ASSOCIATE-AC's body: id -> (result, transfer syntax)."""
    return {inner[0]: (inner[2], inner[8:].decode().strip("\0")) for kind, inner in items(body[68:]) if kind == 0x21}


def items(data: bytes) -> list[tuple[int, bytes]]:
    """(type, value) of a run of items."""
    found, position = [], 0
    while position < len(data):
        kind, length = struct.unpack_from(">BxH", data, position)
        found.append((kind, data[position + 4 : position + 4 + length]))
        position += 4 + length
    return found
