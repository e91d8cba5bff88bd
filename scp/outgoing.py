"""Requests over an association that we opened (PS3.7 §9.1, PS3.4 Annexes A to C). Opened by `scp.scu`.

Stored bytes go out as they come in, in one write a chunk. One thread uses an association.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge import identifiers
from bridge.identifiers import Document
from bridge.settings import Dimse
from scp import command as commands
from scp import upper_layer
from scp.command import NO_DATA_SET, WITH_DATA_SET, Command, CommandError, CommandField, Element, Response, Status
from scp.connection import Broken, Connection, PeerGone
from scp.contexts import IDENTIFIER_SYNTAXES, VERIFICATION
from scp.dialogue import message
from scp.proposal import Accepted
from scp.status import CLASS_NOT_SUPPORTED, PENDING, PENDING_WITH_UNSUPPORTED_KEYS
from scp.upper_layer import (
    Aborted,
    AbortReason,
    AbortSource,
    Fragment,
    ProtocolError,
    Released,
    ReleaseRequested,
    Requestor,
)

_PENDING = (PENDING, PENDING_WITH_UNSUPPORTED_KEYS)
_RELEASE_S = 5.0  # for the peer to agree that it is over
_EXPLICIT = IDENTIFIER_SYNTAXES[0]
_MEDIUM = 0  # priority (PS3.7 Table E.1-1)

Elements = Mapping[int, int | str | bytes]


class OperationFailed(Exception):
    """A query or echo that the peer refused."""

    def __init__(self, status: Status) -> None:
        super().__init__(
            f"status {status.code:04X}: {status.comment}" if status.comment else f"status {status.code:04X}"
        )
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A response: its status, the further elements of its command set, its data set where it had one."""

    status: Status
    command: Command
    data_set: bytes = b""

    @property
    def is_pending(self) -> bool:
        """More responses follow."""
        return self.status.code in _PENDING

    def number(self, element: int) -> int:
        """A count of sub-operations; 0 where the peer does not tell."""
        return self.command.number(element)


class Receiver(Protocol):
    """Takes what a peer sends us in the middle of a C-GET: begun by the command, fed the data set, completed."""

    def write(self, chunk: memoryview) -> None:
        """A piece of the data set, valid only during the call."""
        ...

    def complete(self) -> Status:
        """The data set is whole."""
        ...

    def abandon(self) -> None:
        """The association is gone."""
        ...


@dataclass(slots=True)
class Outgoing:
    """An open association. What ends it is raised as Broken or ProtocolError; statuses are returned."""

    connection: Connection
    contexts: Mapping[int, Accepted]
    max_pdu_bytes: int  # of the peer
    dimse: Dimse
    _message_ids: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(1, 1 << 16)))
    _running: tuple[int, int] = (0, 0)  # context and message id of the operation that a cancel would end
    _last: tuple[bytes, Command] = (b"", Command({}, 0, 0))  # as it came, decoded: thousands of matches have the same

    def context_for(self, abstract_syntax: str, *transfer_syntaxes: str) -> Accepted | None:
        """The accepted context of this class with the first possible of these syntaxes, any where none is named."""
        mine = [context for context in self.contexts.values() if context.abstract_syntax == abstract_syntax]
        if not transfer_syntaxes:
            return mine[0] if mine else None
        by_syntax = {context.transfer_syntax: context for context in reversed(mine)}
        return next((by_syntax[uid] for uid in transfer_syntaxes if uid in by_syntax), None)

    def echo(self) -> Status:
        """C-ECHO (PS3.7 §9.1.5)."""
        context = self._needed(VERIFICATION)
        return self.request(context, {Element.COMMAND_FIELD: CommandField.C_ECHO}).status

    def store(
        self,
        context: Accepted,
        sop_instance_uid: str,
        data_set: Iterable[bytes],
        *,
        originator: tuple[str, int] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Status:
        """C-STORE (PS3.7 §9.1.1). `data_set` in the context's syntax, in chunks; `originator`: AE title and message id
        of the C-MOVE that asked for it; `meanwhile` is called while the peer deals with what was sent."""
        elements: dict[int, int | str | bytes] = {
            Element.COMMAND_FIELD: CommandField.C_STORE,
            Element.PRIORITY: _MEDIUM,
            Element.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
        }
        if originator is not None:
            elements[Element.MOVE_ORIGINATOR_AE_TITLE], elements[Element.MOVE_ORIGINATOR_MESSAGE_ID] = originator
        self._send(context, elements, data_set)
        if meanwhile is not None:
            meanwhile()
        return self._outcome(None).status

    def find(self, abstract_syntax: str, identifier: Document) -> Iterator[Document]:
        """C-FIND (PS3.7 §9.1.2): the matches as DICOM JSON values. Raises OperationFailed unless it ends well."""
        context = self._needed(abstract_syntax)
        for outcome in self.query(context, CommandField.C_FIND, identifier):
            if outcome.is_pending:
                yield identifiers.read(outcome.data_set, context.transfer_syntax)
            elif outcome.status.code:
                raise OperationFailed(outcome.status)

    def move(self, abstract_syntax: str, identifier: Document, destination: str) -> Iterator[Outcome]:
        """C-MOVE (PS3.7 §9.1.4): every response, the final one last."""
        context = self._needed(abstract_syntax)
        return self.query(context, CommandField.C_MOVE, identifier, {Element.MOVE_DESTINATION: destination})

    def get(
        self, abstract_syntax: str, identifier: Document, begin: Callable[[Command, Accepted], Receiver]
    ) -> Iterator[Outcome]:
        """C-GET (PS3.7 §9.1.3): every response, the final one last; `begin` is called for each object that comes."""
        return self.query(self._needed(abstract_syntax), CommandField.C_GET, identifier, begin=begin)

    def query(
        self,
        context: Accepted,
        command_field: CommandField,
        identifier: Document,
        extra: Elements | None = None,
        begin: Callable[[Command, Accepted], Receiver] | None = None,
    ) -> Iterator[Outcome]:
        """C-FIND, C-MOVE or C-GET: every response as it comes, the final one last."""
        data_set = identifiers.write(
            identifier,
            explicit=context.transfer_syntax == _EXPLICIT,
            charsets=identifiers.charsets_of(identifier),
        )
        elements = {Element.COMMAND_FIELD: command_field, Element.PRIORITY: _MEDIUM, **(extra or {})}
        self._send(context, elements, [data_set])
        while True:
            outcome = self._outcome(begin)
            yield outcome
            if not outcome.is_pending:
                return

    def request(self, context: Accepted, elements: Elements, data_set: Iterable[bytes] = ()) -> Outcome:
        """Any request with one response, such as N-ACTION or N-EVENT-REPORT. Class, ids and data set type are added."""
        self._send(context, elements, data_set)
        return self._outcome(None)

    def cancel(self) -> None:
        """C-CANCEL of the operation whose responses are being read (PS3.7 §9.3.2.3)."""
        context_id, message_id = self._running
        elements: dict[int, int | str | bytes] = {
            Element.COMMAND_FIELD: int(CommandField.C_CANCEL),
            Element.MESSAGE_ID_RESPONDED_TO: message_id,
            Element.DATA_SET_TYPE: NO_DATA_SET,
        }
        for pdus in message(context_id, commands.pack(elements), (), max_pdu_bytes=self.max_pdu_bytes):
            self.connection.send_pieces(pdus)

    def abort(self) -> None:
        """End it without agreement."""
        self.connection.say_last(upper_layer.abort(AbortSource.USER, AbortReason.NONE))

    def release(self) -> None:
        """Agree with the peer that it is over; a peer that does not answer is left alone."""
        reader = self.connection.reader
        assert isinstance(reader, Requestor)
        try:
            self.connection.send(upper_layer.release_request())
            reader.releasing()
            self.connection.expect(_RELEASE_S)
            while not isinstance(self.connection.next(), (Released, Aborted)):
                pass
        except (Broken, ProtocolError):
            return

    def _send(self, context: Accepted, elements: Elements, data_set: Iterable[bytes]) -> None:
        self._running = (context.context_id, next(self._message_ids))
        has_data_set = not isinstance(data_set, tuple)
        whole = {
            Element.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
            Element.MESSAGE_ID: self._running[1],
            Element.DATA_SET_TYPE: WITH_DATA_SET if has_data_set else NO_DATA_SET,
            **elements,
        }
        for pdus in message(context.context_id, commands.pack(whole), data_set, max_pdu_bytes=self.max_pdu_bytes):
            self.connection.send_pieces(pdus)
        self.connection.expect(self.dimse.response_timeout_s)

    def _outcome(self, begin: Callable[[Command, Accepted], Receiver] | None) -> Outcome:
        """The next response; what the peer stores meanwhile goes to `begin`."""
        while True:
            context_id, command = self._command()
            if command.field & commands.RESPONSE:
                return Outcome(status=_status_of(command), command=command, data_set=self._data_set_of(command))
            if command.field != CommandField.C_STORE or begin is None or context_id not in self.contexts:
                raise ProtocolError(AbortReason.UNEXPECTED_PDU, "the peer sent a request")
            self._receive(command, begin(command, self.contexts[context_id]), context_id)

    def _data_set_of(self, command: Command) -> bytes:
        if not command.has_data_set:
            return b""
        return self._whole(self.dimse.identifier_limit_bytes, is_command=False)[1]

    def _receive(self, command: Command, receiver: Receiver, context_id: int) -> None:
        is_whole = False
        try:
            while command.has_data_set and not is_whole:
                fragment = self._fragment(is_command=False)
                receiver.write(fragment.data)
                is_whole = fragment.is_last
            status = receiver.complete()
        except BaseException:
            receiver.abandon()
            raise
        response = commands.encode(Response(command, status))
        for pdus in message(context_id, response, (), max_pdu_bytes=self.max_pdu_bytes):
            self.connection.send_pieces(pdus)

    def _command(self) -> tuple[int, Command]:
        context_id, whole = self._whole(commands.LIMIT_BYTES, is_command=True)
        if whole == self._last[0]:
            return context_id, self._last[1]
        try:
            command = commands.decode(whole)
        except CommandError as error:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, str(error)) from error
        self._last = (whole, command)
        return context_id, command

    def _whole(self, limit_bytes: int, *, is_command: bool) -> tuple[int, bytes]:
        """(context, bytes) of a command set or of the data set of a response."""
        fragment = self._fragment(is_command=is_command)
        gathered = bytearray(fragment.data)
        while not fragment.is_last and len(gathered) <= limit_bytes:
            fragment = self._fragment(is_command=is_command)
            gathered += fragment.data
        if len(gathered) > limit_bytes:
            reason = AbortReason.INVALID_PARAMETER if is_command else AbortReason.NONE
            source = AbortSource.PROVIDER if is_command else AbortSource.USER
            kind = "command set is" if is_command else "data set of a response is"
            raise ProtocolError(reason, f"the {kind} too long", source=source)
        return fragment.context_id, bytes(gathered)

    def _fragment(self, *, is_command: bool) -> Fragment:
        event = self.connection.next()
        if isinstance(event, ReleaseRequested):
            self.connection.send(upper_layer.release_response())
        if not isinstance(event, Fragment):
            raise PeerGone("the peer ended the association")
        if event.is_command is not is_command:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, "command and data set fragments are mixed up")
        return event

    def _needed(self, abstract_syntax: str) -> Accepted:
        context = self.context_for(abstract_syntax)
        if context is None:
            comment = f"the peer does not accept {abstract_syntax}"
            raise OperationFailed(Status(code=CLASS_NOT_SUPPORTED, comment=comment))
        return context


def _status_of(response: Command) -> Status:
    comment = response.elements.get(Element.ERROR_COMMENT)
    return Status(code=response.number(Element.STATUS), comment=comment.decode("latin-1").strip() if comment else "")
