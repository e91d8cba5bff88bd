"""The listening side: accepts, bounds, drains (DESIGN §7).

Several processes listen on one inherited socket. One that has more connections than another lets that one go first; it
still answers when nobody else does, so that a caller beyond the limit gets its refusal instead of silence.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time

from bridge import ingest, metrics
from bridge.archive import Archive
from bridge.peers import Watch
from bridge.retrieve import Retrieve
from bridge.search import Answers
from bridge.settings import Tls
from bridge.waking import Wake
from scp.association import Association
from scp.balance import Balance
from scp.certificates import Certificates
from scp.operation import Door, Intake
from scp.peers import Peers
from scp.slots import Slots

_LOG = logging.getLogger(__name__)
INGEST = Intake(begin=ingest.begin, ingest=ingest.ingest)
_POLITE_S = 0.05  # how long a process that has more connections leaves a caller to the others
_GLANCE_S = 0.001  # between looks whether they took it
_UNDECIDED = 32  # connections beyond the limit that may be waiting for their refusal
_JOIN_S = 5.0


class Server:
    """One process's door. `run` returns after `stop` once every association has ended."""

    def __init__(
        self,
        archive: Archive,
        listening: socket.socket | None,
        *,
        over_tls: socket.socket | None = None,
        intake: Intake = INGEST,
    ) -> None:
        """`listening` for plain DICOM, `over_tls` for DICOM over TLS: one of them or both. Raises ConfigError."""
        settings = archive.settings
        self._dimse = settings.dimse
        self._over_tls = over_tls
        self._listening = {one.fileno(): one for one in (listening, over_tls) if one is not None}
        self._certificates = Certificates(settings.tls if over_tls is not None else Tls())
        self._slots = Slots(settings.storage.directory / "run" / "associations", settings.dimse.associations)
        self._balance = Balance(settings.storage.directory / "run" / "balance", settings.dimse.processes)
        self._watch = Watch(archive)
        self._door = Door(
            archive=archive,
            intake=intake,
            retrieve=Retrieve(archive),
            answers=Answers(archive, settings.http.search_cache_bytes),
            peers=Peers(settings, lambda: self._watch.roster),
            outgoing=threading.BoundedSemaphore(max(settings.dimse.outgoing_associations, 1)),
            slots=self._slots,
        )
        self._associations: dict[Association, threading.Thread] = {}
        self._changed = threading.Condition()
        self._wake_read, self._wake_write = os.pipe()
        self._is_stopping = False
        self._look = Wake()  # at once, instead of at the next interval

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on; those of plain DICOM, where there is that."""
        host, port = next(iter(self._listening.values())).getsockname()[:2]
        return host, port

    def open(self) -> int:
        """How many connections this process has."""
        return len(self._associations)

    def busy(self) -> int:
        """How many of them have an operation running."""
        with self._changed:
            return sum(not association.is_idle for association in self._associations)

    def stop(self) -> None:
        """Ask `run` to drain and return; safe in a signal handler, and again after the end: Ctrl-C may come twice."""
        if not self._is_stopping:
            self._is_stopping = True
            os.write(self._wake_write, b"\0")

    def look_again(self) -> None:
        """Ask for changed peers to be noticed now; safe in a signal handler."""
        self._look.set()

    def run(self) -> None:
        """Accept until stopped, then drain."""
        for listening in self._listening.values():
            listening.setblocking(False)
        watching = threading.Thread(target=self._keep_watch, name="peers")
        watching.start()
        try:
            while not self._is_stopping:
                for listening in self._wait():
                    if self._is_for_us(listening):
                        self._accept(listening)
        finally:
            for listening in self._listening.values():
                listening.close()
            self._is_stopping = True
            self._look.set()
            self._drain()
            watching.join()
            self._slots.close()
            self._balance.close()
            self._door.retrieve.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _keep_watch(self) -> None:
        """Notice changed peers, every interval and when asked. An index that does not answer delays only this."""
        while not self._is_stopping:
            self._look.wait(self._dimse.peers_interval_s)
            self._look.clear()
            if not self._is_stopping:
                self._watch.look()
                self._certificates.look()

    def _wait(self) -> list[socket.socket]:
        """Where there may be someone to accept."""
        poll = select.poll()
        for descriptor in (self._wake_read, *self._listening):
            poll.register(descriptor, select.POLLIN)
        return [self._listening[one] for one, _ in poll.poll() if one != self._wake_read]

    def _is_for_us(self, listening: socket.socket) -> bool:
        """Leave a caller to a process that has fewer connections, for a moment."""
        woken, calling = select.poll(), select.poll()
        woken.register(self._wake_read, select.POLLIN)
        calling.register(listening, select.POLLIN)
        deadline = time.monotonic() + _POLITE_S
        while self._balance.is_above(len(self._associations)) and time.monotonic() < deadline:
            if woken.poll(_GLANCE_S * 1000) or not calling.poll(0):
                return False
        return True

    def _accept(self, listening: socket.socket) -> None:
        if len(self._associations) >= self._dimse.associations + _UNDECIDED and not self._make_room():
            return
        try:
            connection, address = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another process took it, or it is gone
        except OSError as error:
            _LOG.error("cannot accept an association: %s", error.strerror)
            time.sleep(_POLITE_S)  # out of descriptors or memory: trying at once would only spin
            return
        tls = self._certificates.server if listening is self._over_tls else None
        association = Association(connection, str(address[0]), self._door, tls=tls)
        thread = threading.Thread(target=self._run, args=(association,), name=f"association {address[0]}")
        with self._changed:
            self._associations[association] = thread
            self._balance.note(len(self._associations))
        metrics.ASSOCIATIONS_OPEN.inc()
        try:
            thread.start()
        except RuntimeError as error:
            _LOG.error("cannot start an association: %s", error)
            connection.close()
            self._forget(association)

    def _run(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._forget(association)

    def _forget(self, association: Association) -> None:
        metrics.ASSOCIATIONS_OPEN.dec()
        with self._changed:
            del self._associations[association]
            self._balance.note(len(self._associations))
            self._changed.notify_all()

    def _make_room(self) -> bool:
        """Cut the oldest connection that has not said who it is; False when there is none."""
        with self._changed:
            oldest = next((association for association in self._associations if not association.is_established), None)
        if oldest is not None:
            oldest.cut()
        return oldest is not None

    def _drain(self) -> None:
        """Running operations may finish; what is left at the end of the time is cut."""
        with self._changed:
            left = dict(self._associations)
        for association in left:
            association.drain()
        with self._changed:
            self._changed.wait_for(lambda: not self._associations, self._dimse.drain_timeout_s)
            late = list(self._associations)
        for association in late:
            association.cut()
        for thread in left.values():
            thread.join(_JOIN_S)
