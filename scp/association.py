"""One accepted connection, in a thread of its own: reads, answers, keeps the timers (PS3.8 §9.1.5, §9.2).

Received bytes go from one reused buffer straight into the growing object; every response leaves in one send.
Timers count complete PDUs, not bytes, so a peer that trickles bytes is as silent as one that sends none.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge import callers, metrics
from bridge.archive import Archive
from scp import negotiation, upper_layer
from scp.contexts import agree
from scp.exchange import Exchange
from scp.operation import Intake
from scp.peers import CALLED_AE_NOT_RECOGNISED, CALLING_AE_NOT_RECOGNISED, LIMIT_EXCEEDED, Caller, Peers, Refused
from scp.slots import Slots
from scp.upper_layer import Aborted, AbortReason, AbortSource, Acceptor, AssociateRequested, Fragment, ProtocolError

_LOG = logging.getLogger(__name__)
_BUFFER_BYTES = 1 << 20  # one read may bring several PDUs
_LINGER_S = 5.0  # how long the peer may take to read our last PDU and close
_NAMED_AT_MOST = 8  # refused contexts in one log line
_TIME_VALUE = struct.Struct("@ll")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What all associations of a process share."""

    archive: Archive
    intake: Intake
    peers: Peers
    slots: Slots


class _Ended(Exception):
    """The association is over; `outcome` is a label of `bridge_associations`."""

    def __init__(self, outcome: str, last_words: bytes = b"", afterwards: Callable[[], None] | None = None) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.last_words = last_words
        self.afterwards = afterwards or _nothing  # what need not keep the peer waiting


class Association:
    """Runs in its thread; `drain` and `cut` may be called from another."""

    def __init__(self, connection: socket.socket, address: str, door: Door) -> None:
        self.address = address
        self.is_established = False
        self._socket = connection
        self._door = door
        self._dimse = door.archive.settings.dimse
        self._acceptor = Acceptor(max_pdu_bytes=self._dimse.max_pdu_bytes)
        self._exchange: Exchange | None = None
        self._caller: Caller | None = None
        self._give_slot_back: Callable[[], None] = _nothing
        self._is_draining = False

    def run(self) -> None:
        """From the first byte to the closed socket. Raises nothing."""
        end = _Ended("failed", upper_layer.abort(AbortSource.PROVIDER, AbortReason.NONE))
        try:
            self._prepare()
            self._converse()
        except _Ended as reached:
            end = reached
        except ProtocolError as error:
            _LOG.warning("%s: aborted, because the peer broke the protocol: %s", self._who(), error)
            end = _Ended("aborted", upper_layer.abort(error.source, error.reason))
        except OSError as error:
            _LOG.info("%s: the connection was lost: %s", self._who(), error.strerror or error)
            end = _Ended("lost")
        except Exception:  # the door's last resort: one association ends, the others go on
            _LOG.exception("%s: the association failed", self._who())
        finally:
            self._finish(end)

    @property
    def is_idle(self) -> bool:
        """No operation is running."""
        return self._exchange is None or self._exchange.is_idle

    def drain(self) -> None:
        """End as soon as no operation is running."""
        self._is_draining = True
        if self.is_idle:
            _shut(self._socket, socket.SHUT_RD)  # wakes a waiting read

    def cut(self) -> None:
        """End now."""
        _shut(self._socket, socket.SHUT_RDWR)

    def _prepare(self) -> None:
        self._socket.setblocking(True)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._set_timeout(socket.SO_SNDTIMEO, self._dimse.write_timeout_s)

    def _converse(self) -> None:
        """Read and react until something ends it, always by an exception."""
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        acceptor = self._acceptor
        deadline = time.monotonic() + self._dimse.artim_timeout_s
        while not self.is_established:
            self._set_timeout(socket.SO_RCVTIMEO, max(deadline - time.monotonic(), 0.001))
            self._digest(buffer[: self._read(buffer, deadline)])
        idle_s = self._dimse.idle_timeout_s
        self._set_timeout(socket.SO_RCVTIMEO, idle_s)
        seen, deadline = acceptor.pdus, time.monotonic() + idle_s
        while True:
            self._digest(buffer[: self._read(buffer, deadline)])
            if acceptor.pdus != seen:
                seen, deadline = acceptor.pdus, time.monotonic() + idle_s

    def _read(self, buffer: memoryview, deadline: float) -> int:
        """At least one byte, or an end. A deadline that passes while bytes trickle in counts too."""
        try:
            count = self._socket.recv_into(buffer)
            # Most devices leave Nagle's algorithm on: the end of each PDU then waits for our acknowledgement, which the
            # kernel would hold back for 40 ms. The kernel forgets this option, so it is set after every read.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except BlockingIOError:
            count = -1
        if count == 0:
            if self._is_draining:
                raise _Ended("drained", upper_layer.abort(AbortSource.USER, AbortReason.NONE))
            raise _Ended("lost")
        if count < 0 or time.monotonic() > deadline:
            if self.is_established:
                _LOG.warning("%s: aborted after %g s without progress", self._who(), self._dimse.idle_timeout_s)
                raise _Ended("timeout", upper_layer.abort(AbortSource.PROVIDER, AbortReason.NONE))
            _LOG.info("%s: closed, no association was requested in time", self._who())
            raise _Ended("timeout")
        return count

    def _digest(self, received: memoryview) -> None:
        for event in self._acceptor.receive(received):
            if isinstance(event, Fragment):
                self._exchange_fragment(event)
            elif isinstance(event, AssociateRequested):
                self._negotiate(event.pdu)
            elif isinstance(event, Aborted):
                raise _Ended("aborted")
            else:
                self._give_slot_back()  # before the peer knows: it may call again at once
                raise _Ended("released", upper_layer.release_response())

    def _exchange_fragment(self, fragment: Fragment) -> None:
        assert self._exchange is not None
        response = self._exchange.take(fragment)
        if response:
            self._send(response)
        if self._is_draining and self._exchange.is_idle:
            raise _Ended("drained", upper_layer.abort(AbortSource.USER, AbortReason.NONE))

    def _negotiate(self, pdu: bytes) -> None:
        request = negotiation.decode(pdu)
        try:
            caller = self._admit(request)
        except Refused as refusal:
            raise self._refused(request, refusal) from refusal
        agreement = agree(
            request,
            services=caller.services,
            unknown_sop_classes=self._door.archive.settings.ingest.unknown_sop_classes,
        )
        self._caller = caller
        self._exchange = Exchange(
            agreement.contexts, caller, self._door.archive, self._door.intake, max_pdu_bytes=request.max_pdu_bytes
        )
        self._acceptor.accepted()
        self.is_established = True
        refused = [item.abstract_syntax for item in request.proposals if item.context_id not in agreement.contexts]
        _LOG.info(
            "%s: accepted %d of %d contexts (%s)%s",
            self._who(), len(agreement.contexts), len(request.proposals), request.implementation,
            f", not {', '.join(refused[:_NAMED_AT_MOST])}" if refused else "",
        )  # fmt: skip
        self._send(
            negotiation.accept(
                request, agreement.decisions, max_pdu_bytes=self._dimse.max_pdu_bytes, roles=agreement.roles
            )
        )

    def _admit(self, request: negotiation.Request) -> Caller:
        caller = self._door.peers.admit(request, self.address)
        give_back = self._door.slots.take(caller.key, caller.associations)
        if give_back is None:
            raise Refused(
                LIMIT_EXCEEDED,
                f"{self._dimse.associations} associations in all or {caller.associations} of this peer are open",
            )
        self._give_slot_back = _once(give_back)
        return caller

    def _refused(self, request: negotiation.Request, refusal: Refused) -> _Ended:
        calling, called, rejection = request.calling_ae_title, request.called_ae_title, refusal.rejection
        last_words = upper_layer.reject(rejection.result, rejection.source, rejection.reason)
        is_unknown = rejection in (CALLING_AE_NOT_RECOGNISED, CALLED_AE_NOT_RECOGNISED)
        hint = "; `dicom-bridge peers refused` says how to let it in" if is_unknown else ""
        _LOG.warning("refused %s calling %s from %s: %s%s", calling, called, self.address, refusal, hint)
        if not is_unknown:
            return _Ended("refused", last_words)

        def note() -> None:
            callers.note_refused(
                self._door.archive, calling=calling, called=called, address=self.address, reason=str(refusal)
            )

        return _Ended("refused", last_words, note)

    def _send(self, pdus: bytes) -> None:
        try:
            self._socket.sendall(pdus)
        except BlockingIOError as error:
            _LOG.warning("%s: the peer does not read what we send", self._who())
            raise _Ended("timeout") from error

    def _finish(self, end: _Ended) -> None:
        """Leave nothing behind: no object, no slot, no socket."""
        try:
            if self._exchange is not None:
                self._exchange.abandon()
            self._give_slot_back()
            self._acceptor.closing()
            is_said = self._say(end.last_words)
            metrics.ASSOCIATIONS.labels(end.outcome).inc()
            end.afterwards()
            self._note_tally(end.outcome)
            if is_said:
                self._wait_for_close()
        finally:
            self._give_slot_back()
            self._socket.close()

    def _note_tally(self, outcome: str) -> None:
        if self._exchange is None or self._caller is None:
            return
        tally = self._exchange.tally
        _LOG.info("%s: %s, %d instances, %d bytes", self._who(), outcome, tally.instances, tally.size_bytes)
        if tally.instances:
            callers.note_received(
                self._door.archive,
                ae_title=self._caller.ae_title,
                address=self.address,
                instances=tally.instances,
                size_bytes=tally.size_bytes,
            )

    def _say(self, last_words: bytes) -> bool:
        """Send our last PDU, if there is one; False when nobody is listening."""
        try:
            self._socket.sendall(last_words)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return bool(last_words)

    def _wait_for_close(self) -> None:
        """Closing with bytes unread would take our last PDU back, so read until the peer closes, for a while."""
        deadline = time.monotonic() + _LINGER_S
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                self._set_timeout(socket.SO_RCVTIMEO, left_s)
                if not self._socket.recv(1 << 16):
                    return
        except OSError:
            return  # the peer is gone already

    def _set_timeout(self, option: int, seconds: float) -> None:
        """By the kernel: one system call a read, where Python's own timeouts take two."""
        whole = int(seconds)
        self._socket.setsockopt(socket.SOL_SOCKET, option, _TIME_VALUE.pack(whole, int((seconds - whole) * 1e6)))

    def _who(self) -> str:
        return f"{self._caller.ae_title} at {self.address}" if self._caller else self.address


def _nothing() -> None:
    pass


def _once(function: Callable[[], None]) -> Callable[[], None]:
    """The same function, called at most once."""
    calls = [function]
    return lambda: calls.pop()() if calls else None


def _shut(connection: socket.socket, how: int) -> None:
    try:
        connection.shutdown(how)
    except OSError:
        return  # it is closed already
