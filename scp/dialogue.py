"""The association in the middle of an operation: pending responses, C-CANCEL, sub-operations (PS3.7 §9.3.2-9.3.4).

One thread does it all: between two things that it sends it looks whether something has come. What may come is a
C-CANCEL, the response to what we asked, or the end. A further request waits until the operation is over (D10).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scp import command as commands
from scp.command import Command, CommandError, CommandField, Response, Stencil
from scp.connection import Connection, Interrupted
from scp.contexts import Context
from scp.operation import Answer
from scp.upper_layer import AbortReason, Event, Fragment, Piece, ProtocolError, data, pieces

_TOGETHER_BYTES = 1 << 16  # pending responses leave together up to this size,
_TOGETHER_S = 0.05  # and wait no longer than this for the next one


@dataclass(slots=True, kw_only=True)
class Conversation:
    """An operation's dialogue; see `scp.operation.Dialogue`."""

    connection: Connection
    contexts: Mapping[int, Context]
    context_id: int
    request: Command
    max_pdu_bytes: int  # of the peer
    response_timeout_s: float
    idle_timeout_s: float
    held: Fragment | None = None  # a request that came meanwhile; its data set has not been read
    _waiting: bytearray = field(default_factory=bytearray)  # responses not sent yet
    _command: bytearray = field(default_factory=bytearray)  # of the message that is arriving
    _response: Command | None = None
    _is_cancelled: bool = False
    _sent_at: float = 0.0
    _commands: dict[tuple[object, ...], tuple[Stencil, bytes]] = field(default_factory=dict)

    def respond(self, answer: Answer, *, now: bool = False) -> None:
        """See Dialogue."""
        self._waiting += self._command_of(answer)
        if answer.data_set:
            self._waiting += data(self.context_id, answer.data_set, is_command=False, max_pdu_bytes=self.max_pdu_bytes)
        if now or len(self._waiting) >= _TOGETHER_BYTES or time.monotonic() - self._sent_at > _TOGETHER_S:
            self._flush()

    def _command_of(self, answer: Answer) -> bytes:
        """The command set of a response as PDUs: that of thousands of matches is the same, others differ in counts."""
        kind = (answer.status, bool(answer.data_set), *answer.extra)
        known = self._commands.get(kind)
        if known is None:
            response = Response(self.request, answer.status, answer.extra, has_data_set=bool(answer.data_set))
            stencil = Stencil(commands.elements_of(response), tuple(answer.extra))
            known = self._commands[kind] = (stencil, self._command_pdus(stencil.fill(answer.extra.values())))
        return self._command_pdus(known[0].fill(answer.extra.values())) if answer.extra else known[1]

    def _command_pdus(self, command: bytes) -> bytes:
        return data(self.context_id, command, is_command=True, max_pdu_bytes=self.max_pdu_bytes)

    def finish(self, answer: Answer) -> None:
        """Say the final response, with whatever waits."""
        self.respond(answer, now=True)

    def is_cancelled(self) -> bool:
        """See Dialogue."""
        while not self._is_cancelled and self.held is None:
            event = self.connection.poll()
            if event is None:
                break
            self._take(event)
        return self._is_cancelled

    def has_request(self) -> bool:
        """See Dialogue."""
        self.is_cancelled()
        return self.held is not None

    def invoke(
        self,
        context_id: int,
        command: bytes,
        data_set: Iterable[bytes],
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        """See Dialogue. Raises Broken, PeerSilent among it after `response_timeout_s`."""
        self._response = None
        for pdus in message(context_id, command, data_set, max_pdu_bytes=self.max_pdu_bytes):
            waiting, self._waiting = bytes(self._waiting), bytearray()
            self.connection.send_pieces([waiting, *pdus] if waiting else pdus)
            pdus.clear()  # the next instance may come to lie where this one did, in the processor's cache
        if meanwhile is not None:
            meanwhile()
        self.connection.expect(self.response_timeout_s)
        while self._response is None:
            if self.held is not None:
                raise ProtocolError(AbortReason.UNEXPECTED_PDU, "a request came where a response was due")
            self._take(self.connection.next())
        self.connection.expect(self.idle_timeout_s, exactly=False)
        return self._response

    def _flush(self) -> None:
        if self._waiting:
            self.connection.send(bytes(self._waiting))
            self._waiting.clear()
            self._sent_at = time.monotonic()

    def _take(self, event: Event) -> None:
        if not isinstance(event, Fragment):
            raise Interrupted(event)
        if not event.is_command:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, "a data set came in the middle of an operation")
        self._command += event.data
        if len(self._command) > commands.LIMIT_BYTES:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "the command set is too long")
        if not event.is_last:
            return
        whole = bytes(self._command)
        self._command.clear()
        try:
            command = commands.decode(whole)
        except CommandError as error:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, str(error)) from error
        if command.field == CommandField.C_CANCEL:
            self._is_cancelled = self._is_cancelled or command.responded_to == self.request.message_id
        elif command.field & commands.RESPONSE:
            self._response = command
        else:
            self.held = event._replace(data=memoryview(whole))


def message(context_id: int, command: bytes, data_set: Iterable[bytes], *, max_pdu_bytes: int) -> Iterator[list[Piece]]:
    """A request and its data set as PDUs, in pieces as they are to be sent; the command goes with the first chunk."""
    waiting = pieces(context_id, command, is_command=True, max_pdu_bytes=max_pdu_bytes)
    chunks = (chunk for chunk in data_set if chunk)
    chunk = next(chunks, None)
    while chunk is not None:
        following = next(chunks, None)
        is_last = following is None
        made = pieces(context_id, chunk, is_command=False, max_pdu_bytes=max_pdu_bytes, is_last=is_last)
        yield waiting + made
        waiting, chunk = [], following
    if waiting:
        yield waiting
