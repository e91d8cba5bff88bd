"""One connection: bytes in as events, one at a time, PDUs out (PS3.8 §9.1.5, §9.2).

Received bytes go from one reused buffer straight into what grows; whoever holds a connection may read in the middle of
an operation, waiting or not. Timers count complete PDUs, not bytes, so a peer that trickles bytes is as silent as one
that sends none.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence

from scp.tls import Incomplete, TlsSocket
from scp.upper_layer import Event, Piece, Reader

_BUFFER_BYTES = 1 << 20  # one read may bring several PDUs
_PIECES_AT_ONCE = 1000  # below the kernel's IOV_MAX
_TIME_VALUE = struct.Struct("@ll")
_LATE = 1.02  # a wait to the moment may end this much later: what the kernel was told last mostly still does


class Broken(Exception):
    """The conversation cannot go on; not for an operation to handle."""


class PeerGone(Broken):
    """The connection is closed or reset."""


class PeerSilent(Broken):
    """Nothing complete came in the time that was given."""


class PeerDeaf(Broken):
    """The peer does not read what we send."""


class Interrupted(Broken):
    """In the middle of an operation the peer asked for release or aborted."""

    def __init__(self, event: Event) -> None:
        super().__init__("the association ended in the middle of an operation")
        self.event = event


class Connection:
    """A connected socket and the reader of its bytes. One thread uses it; only `shut` may be called from another."""

    def __init__(self, connected: socket.socket, reader: Reader, *, write_timeout_s: float) -> None:
        self.reader = reader
        self._socket: socket.socket | TlsSocket = connected
        self._plain = connected  # other threads shut this one down
        self._write_timeout_s = write_timeout_s
        self._buffer = memoryview(b"")
        self._events: Iterator[Event] = iter(())
        self._patience_s = 0.0
        self._deadline = 0.0
        self._kernel_s = 0.0  # how long the kernel lets a read wait
        self._seen_pdus = 0
        self._is_exact = True

    def prepare(self) -> None:
        """Before anything else. Raises PeerGone."""
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        try:
            self._socket.setblocking(True)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._set_timeout(socket.SO_SNDTIMEO, self._write_timeout_s)
        except OSError as error:
            raise PeerGone(error.strerror or str(error)) from error

    def secure(self, context: ssl.SSLContext, *, as_server: bool, within_s: float, name: str = "") -> frozenset[str]:
        """Speak TLS from now on; the names in the other side's certificate. Raises TlsFailed."""
        secured = TlsSocket(self._plain, context, as_server=as_server, name=name)
        secured.handshake(within_s)
        self._socket, self._kernel_s = secured, 0.0  # the handshake had its own
        return secured.names

    def expect(self, within_s: float, *, exactly: bool = True) -> None:
        """The next complete PDU may take this long, from now; afterwards each has as long. `exactly`: to the moment,
        whatever trickles in; otherwise one that trickles bytes may take twice as long."""
        self._patience_s = within_s
        self._deadline = time.monotonic() + within_s
        self._seen_pdus = self.reader.pdus
        self._is_exact = exactly

    def next(self) -> Event:
        """The next event; the one before must have been dealt with. Raises ProtocolError or Broken."""
        while True:
            for event in self._events:
                return event
            if self.reader.pdus != self._seen_pdus:
                self._seen_pdus, self._deadline = self.reader.pdus, time.monotonic() + self._patience_s
            self._fill()

    def poll(self) -> Event | None:
        """The next event if it has arrived, without waiting. Raises ProtocolError or Broken."""
        while True:
            for event in self._events:
                return event
            if not self._is_readable():
                return None
            self._fill()

    def send(self, pdus: bytes) -> None:
        """All of it, in one write where the socket takes it. Raises PeerGone or PeerDeaf."""
        try:
            self._socket.sendall(pdus)
        except BlockingIOError as error:
            raise PeerDeaf("the peer does not read what we send") from error
        except OSError as error:
            raise PeerGone(error.strerror or str(error)) from error

    def send_pieces(self, pieces: Sequence[Piece]) -> None:
        """The same for bytes that lie in pieces: they are not joined first, that would copy every object."""
        if isinstance(self._socket, TlsSocket):  # encrypting copies anyway
            self.send(b"".join(pieces))
            return
        left = list(pieces)
        try:
            while left:
                sent = self._socket.sendmsg(left[:_PIECES_AT_ONCE])
                while left and sent >= len(left[0]):
                    sent -= len(left.pop(0))
                if sent:
                    left[0] = memoryview(left[0])[sent:]
        except BlockingIOError as error:
            raise PeerDeaf("the peer does not read what we send") from error
        except OSError as error:
            raise PeerGone(error.strerror or str(error)) from error

    def shut(self, how: int = socket.SHUT_RDWR) -> None:
        """End one or both directions; wakes a waiting read."""
        try:
            self._plain.shutdown(how)
        except OSError:
            return  # it is closed already

    def say_last(self, last_words: bytes) -> bool:
        """Send our last PDU, if there is one; False when nobody is listening."""
        try:
            self._socket.sendall(last_words)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return bool(last_words)

    def wait_for_close(self, within_s: float) -> None:
        """Closing with bytes unread would take our last PDU back, so read until the peer closes, for a while."""
        deadline = time.monotonic() + within_s
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                self._wait_at_most(left_s)
                if not self._socket.recv(1 << 16):
                    return
        except OSError:
            return  # the peer is gone already

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _fill(self) -> None:
        """Read at least one byte. A deadline that passes while bytes trickle in counts too."""
        try:
            self._wait_at_most(max(self._deadline - time.monotonic(), 0.001) if self._is_exact else self._patience_s)
            count = self._socket.recv_into(self._buffer)
            # Most devices leave Nagle's algorithm on: the end of each PDU then waits for our acknowledgement, which the
            # kernel would hold back for 40 ms. The kernel forgets this option, so it is set after every read.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except BlockingIOError:
            count = -1
        except Incomplete:
            if time.monotonic() <= self._deadline:
                return
            count = -1
        except OSError as error:
            raise PeerGone(error.strerror or str(error)) from error
        if count == 0:
            raise PeerGone("closed by the peer")
        if count < 0 or time.monotonic() > self._deadline:
            raise PeerSilent(f"no complete PDU for {self._patience_s:g} s")
        self._events = self.reader.receive(self._buffer[:count])

    def _is_readable(self) -> bool:
        if isinstance(self._socket, TlsSocket) and self._socket.has_pending:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def _wait_at_most(self, seconds: float) -> None:
        """For the next read; a system call only where the last one does not do."""
        if not seconds <= self._kernel_s <= seconds * _LATE:
            self._set_timeout(socket.SO_RCVTIMEO, seconds)
            self._kernel_s = seconds

    def _set_timeout(self, option: int, seconds: float) -> None:
        """By the kernel: one system call a read, where Python's own timeouts take two."""
        whole = int(seconds)
        self._socket.setsockopt(socket.SOL_SOCKET, option, _TIME_VALUE.pack(whole, int((seconds - whole) * 1e6)))
