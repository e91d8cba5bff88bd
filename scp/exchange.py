"""The message exchange of one association: fragments in, responses out (PS3.7 §6.3, PS3.8 Annex E).

Operations run one after the other, in the order of their requests, whatever the peer sends at once (D10).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from bridge.errors import BridgeError
from scp import command as commands
from scp.command import Command, CommandError, CommandField, Status
from scp.connection import Broken, Connection
from scp.contexts import Context
from scp.dialogue import Conversation
from scp.operation import Answer, Call, Door, Operation, Tally
from scp.peers import Caller
from scp.services import ANY_CONTEXT, SERVICES
from scp.status import CLASS_NOT_SUPPORTED, UNRECOGNIZED_OPERATION, status_of
from scp.upper_layer import AbortReason, AbortSource, Fragment, ProtocolError

_LOG = logging.getLogger(__name__)
_CANNOT_PROCESS = Status(code=0x0110, comment="internal error; the log of the archive tells more")  # PS3.7 §C.5.10


class Exchange:
    """Assembles messages and runs their operations."""

    def __init__(
        self,
        contexts: Mapping[int, Context],
        caller: Caller,
        door: Door,
        connection: Connection,
        *,
        max_pdu_bytes: int,
    ) -> None:
        self.tally = Tally()
        self._contexts = contexts
        self._caller = caller
        self._door = door
        self._connection = connection
        self._max_pdu_bytes = max_pdu_bytes  # of the peer
        self._dimse = door.archive.settings.dimse
        self._command = bytearray()
        self._context_id = 0  # of the message that has begun; 0 = none has
        self._request: Command | None = None  # its data set is still coming
        self._operation: Operation | None = None
        self._dialogue: Conversation | None = None
        self._failure: Status | None = None
        self._dropped_bytes = 0

    @property
    def is_idle(self) -> bool:
        """No message has begun."""
        return self._context_id == 0

    def take(self, fragment: Fragment) -> None:
        """Digest a fragment; with the last one of a message its operation runs and answers. Raises Broken."""
        if self._context_id != fragment.context_id:
            self._begin_message(fragment.context_id)
        if fragment.is_command == (self._request is not None):
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, "command and data set fragments are mixed up")
        if self._request is not None:
            self._write(fragment.data)
            if fragment.is_last:
                self._complete(self._request)
            return
        self._command += fragment.data
        if len(self._command) > commands.LIMIT_BYTES:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "the command set is too long")
        if fragment.is_last:
            self._begin()

    def abandon(self) -> None:
        """The association ended: drop what has not become whole."""
        operation, self._operation = self._operation, None
        if operation is not None:
            operation.abandon()

    def _begin_message(self, context_id: int) -> None:
        if self._context_id:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, "a message began before the one before was whole")
        if context_id not in self._contexts:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, f"presentation context {context_id} was not accepted")
        self._context_id = context_id

    def _begin(self) -> None:
        """The command set is whole."""
        try:
            request = commands.decode(self._command)
        except CommandError as error:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, str(error)) from error
        self._command.clear()
        if request.field & commands.RESPONSE:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, "a response came, and nothing was requested")
        self._open(request)
        if request.has_data_set:
            self._request = request
        else:
            self._complete(request)

    def _open(self, request: Command) -> None:
        self._failure, self._dropped_bytes = None, 0
        context = self._contexts[self._context_id]
        self._dialogue = dialogue = Conversation(
            connection=self._connection,
            contexts=self._contexts,
            context_id=self._context_id,
            request=request,
            max_pdu_bytes=self._max_pdu_bytes,
            response_timeout_s=self._dimse.response_timeout_s,
            idle_timeout_s=self._dimse.idle_timeout_s,
        )
        if request.field not in SERVICES:
            comment = f"the operation {request.field:04X}H is not offered"
            self._failure = Status(code=UNRECOGNIZED_OPERATION, comment=comment)
            return
        name, service = SERVICES[request.field]
        if name not in (context.service, ANY_CONTEXT):
            comment = f"the presentation context is not for {name}"
            self._failure = Status(code=CLASS_NOT_SUPPORTED, comment=comment)
            return
        call = Call(request, context, self._caller, self._door, self.tally, dialogue)
        try:
            self._operation = service(call)
        except Exception as error:
            self._failure = self._failed(request, error)

    def _write(self, chunk: memoryview) -> None:
        if self._operation is None:
            self._drop(chunk)
            return
        try:
            self._operation.write(chunk)
        except Exception as error:
            assert self._request is not None
            self._failure = self._failed(self._request, error)
            self.abandon()

    def _drop(self, chunk: memoryview) -> None:
        """The rest of a refused data set must be read before the response; but not without end."""
        self._dropped_bytes += len(chunk)
        if self._dropped_bytes > self._dimse.object_limit_bytes:
            raise ProtocolError(AbortReason.NONE, "a refused data set does not end", source=AbortSource.USER)

    def _complete(self, request: Command) -> None:
        operation, self._operation = self._operation, None
        dialogue, self._dialogue = self._dialogue, None
        assert dialogue is not None
        ending: Status | Answer | None = self._failure
        if operation is not None:
            try:
                ending = operation.complete()
            except (Broken, ProtocolError):
                raise
            except Exception as error:
                ending = self._failed(request, error)
        if request.field != CommandField.C_CANCEL and ending is not None:
            # a cancel that is read here comes too late, and has no response of its own (PS3.7 §9.3.2.3)
            dialogue.finish(ending if isinstance(ending, Answer) else Answer(status=ending))
        self._context_id, self._request = 0, None
        if dialogue.held is not None:
            self.take(dialogue.held)

    def _failed(self, request: Command, error: Exception) -> Status:
        """The status of a refusal. Of what nobody foresaw the peer learns that it happened, the log the reason."""
        if not isinstance(error, BridgeError):
            _LOG.error("%s: operation %04XH failed", self._caller.ae_title, request.field, exc_info=error)
            return _CANNOT_PROCESS
        status = status_of(error)
        _LOG.warning(
            "%s at %s: operation %04XH answered %04XH: %s",
            self._caller.ae_title, self._caller.address, request.field, status.code, error,
        )  # fmt: skip
        return status
