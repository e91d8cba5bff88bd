"""One accepted association, in a thread of its own: admitted, negotiated, served, ended (PS3.8 §9.2)."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable

from bridge import callers, metrics
from scp import identity, negotiation, upper_layer
from scp.connection import Connection, Interrupted, PeerDeaf, PeerGone, PeerSilent
from scp.contexts import agree
from scp.exchange import Exchange
from scp.operation import Door
from scp.pace import Pace, pace_of
from scp.peers import CALLED_AE_NOT_RECOGNISED, CALLING_AE_NOT_RECOGNISED, LIMIT_EXCEEDED, Caller, Refused
from scp.tls import TlsFailed
from scp.upper_layer import (
    Aborted,
    AbortReason,
    AbortSource,
    Acceptor,
    AssociateRequested,
    Event,
    Fragment,
    ProtocolError,
)

_LOG = logging.getLogger(__name__)
_LINGER_S = 5.0  # how long the peer may take to read our last PDU and close
_NAMED_AT_MOST = 8  # refused contexts in one log line


class _Ended(Exception):
    """The association is over; `outcome` is a label of `bridge_associations`."""

    def __init__(self, outcome: str, last_words: bytes = b"", afterwards: Callable[[], None] | None = None) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.last_words = last_words
        self.afterwards = afterwards or _nothing  # what need not keep the peer waiting


class Association:
    """Runs in its thread; `drain` and `cut` may be called from another."""

    def __init__(
        self, connection: socket.socket, address: str, door: Door, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.address = address
        self.is_established = False
        self._door = door
        self._dimse = door.archive.settings.dimse
        self._acceptor = Acceptor(max_pdu_bytes=self._dimse.max_pdu_bytes)
        self._connection = Connection(connection, self._acceptor, write_timeout_s=self._dimse.write_timeout_s)
        self._tls = tls
        self._names: frozenset[str] | None = None  # in the caller's certificate; None: it does not speak TLS
        self._exchange: Exchange | None = None
        self._caller: Caller | None = None
        self._confirms_identity = False
        self._give_slot_back: Callable[[], None] = _nothing
        self._pace: Pace | None = None
        self._instances = 0  # accounted for in the pace
        self._hurry = threading.Event()  # set at the end: nobody waits any more
        self._is_draining = False

    def run(self) -> None:
        """From the first byte to the closed socket. Raises nothing."""
        end = _Ended("failed", upper_layer.abort(AbortSource.PROVIDER, AbortReason.NONE))
        try:
            self._converse()
        except _Ended as reached:
            end = reached
        except ProtocolError as error:
            _LOG.warning("%s: aborted, because the peer broke the protocol: %s", self._who(), error)
            end = _Ended("aborted", upper_layer.abort(error.source, error.reason))
        except TlsFailed as error:
            _LOG.warning("refused a caller at %s, because no TLS came about: %s", self.address, error)
            end = _Ended("refused")
        except PeerSilent as error:
            end = self._silent(error)
        except PeerDeaf as error:
            _LOG.warning("%s: aborted: %s", self._who(), error)
            end = _Ended("timeout")
        except PeerGone as error:
            end = self._gone(error)
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
        self._hurry.set()
        if self.is_idle:
            self._connection.shut(socket.SHUT_RD)  # wakes a waiting read

    def cut(self) -> None:
        """End now."""
        self._hurry.set()
        self._connection.shut()

    def _converse(self) -> None:
        """Read and react until something ends it, always by an exception."""
        self._connection.prepare()
        if self._tls is not None:
            within_s = self._door.archive.settings.tls.handshake_timeout_s
            self._names = self._connection.secure(self._tls, as_server=True, within_s=within_s)
        self._connection.expect(self._dimse.artim_timeout_s)
        while not self.is_established:
            self._react(self._connection.next())
        self._connection.expect(self._dimse.idle_timeout_s, exactly=False)
        while True:
            try:
                self._react(self._connection.next())
            except Interrupted as interruption:
                self._react(interruption.event)

    def _react(self, event: Event) -> None:
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
        self._exchange.take(fragment)
        if self._pace is not None and not self._is_draining:
            self._keep_pace(self._pace, self._exchange, len(fragment.data))
        if self._is_draining and self._exchange.is_idle:
            raise _Ended("drained", upper_layer.abort(AbortSource.USER, AbortReason.NONE))

    def _keep_pace(self, pace: Pace, exchange: Exchange, size_bytes: int) -> None:
        """Leave what comes next in the network until what came is paid for."""
        instances = exchange.tally.instances - self._instances
        self._instances += instances
        owed_s = pace.owed_s(size_bytes, instances)
        if owed_s:
            self._hurry.wait(owed_s)

    def _silent(self, error: PeerSilent) -> _Ended:
        if self.is_established:
            _LOG.warning("%s: aborted: %s", self._who(), error)
            return _Ended("timeout", upper_layer.abort(AbortSource.PROVIDER, AbortReason.NONE))
        _LOG.info("%s: closed, no association was requested in time", self._who())
        return _Ended("timeout")

    def _gone(self, error: PeerGone) -> _Ended:
        if self._is_draining:
            return _Ended("drained", upper_layer.abort(AbortSource.USER, AbortReason.NONE))
        _LOG.info("%s: the connection was lost: %s", self._who(), error)
        return _Ended("lost")

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
            sop_classes=caller.peer.sop_classes if caller.peer else (),
            transfer_syntaxes=caller.peer.transfer_syntaxes if caller.peer else (),
        )
        self._caller = caller
        self._pace = pace_of(self._door.archive.settings.storage.directory / "run" / "paces", caller.peer)
        self._exchange = Exchange(
            agreement.contexts, caller, self._door, self._connection, max_pdu_bytes=request.max_pdu_bytes
        )
        self._acceptor.accepted()
        self.is_established = True
        refused = [item.abstract_syntax for item in request.proposals if item.context_id not in agreement.contexts]
        _LOG.info(
            "%s: accepted %d of %d contexts (%s)%s",
            self._who(), len(agreement.contexts), len(request.proposals), request.implementation,
            f", not {', '.join(refused[:_NAMED_AT_MOST])}" if refused else "",
        )  # fmt: skip
        self._connection.send(
            negotiation.accept(
                request,
                agreement.decisions,
                max_pdu_bytes=self._dimse.max_pdu_bytes,
                roles=agreement.roles,
                extended=agreement.extended,
                confirms_identity=self._confirms_identity,
            )
        )

    def _admit(self, request: negotiation.Request) -> Caller:
        caller = self._door.peers.admit(request, self.address, self._names)
        give_back = self._door.slots.take(caller.key, caller.associations)
        if give_back is None:
            raise Refused(
                LIMIT_EXCEEDED,
                f"{self._dimse.associations} associations in all or {caller.associations} of this peer are open",
            )
        self._give_slot_back = _once(give_back)
        self._confirms_identity = identity.check(identity.identity_of(request), caller.peer, self._dimse)
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

    def _finish(self, end: _Ended) -> None:
        """Leave nothing behind: no object, no slot, no socket."""
        try:
            if self._exchange is not None:
                self._exchange.abandon()
            self._give_slot_back()
            self._acceptor.closing()
            is_said = self._connection.say_last(end.last_words)
            metrics.ASSOCIATIONS.labels(end.outcome).inc()
            end.afterwards()
            self._note_tally(end.outcome)
            if is_said:
                self._connection.wait_for_close(_LINGER_S)
        finally:
            self._give_slot_back()
            if self._pace is not None:
                self._pace.close()
            self._connection.close()

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

    def _who(self) -> str:
        return f"{self._caller.ae_title} at {self.address}" if self._caller else self.address


def _nothing() -> None:
    pass


def _once(function: Callable[[], None]) -> Callable[[], None]:
    """The same function, called at most once."""
    calls = [function]
    return lambda: calls.pop()() if calls else None
