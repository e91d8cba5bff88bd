"""TLS below an association: the BCP 195 profiles without downgrading (PS3.15 §B.10, §B.12; RFC 9325; DICOM.md D16).

TLS 1.2 and 1.3 only, keys agreed by ECDHE, authenticated encryption. The record layer runs over memory, between the
socket and the association, so that the socket keeps its kernel timeouts and bytes are read in large pieces.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from typing import Any

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all of this kind
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_RECORDS_BYTES = 1 << 18  # read from the socket at a time
_PIECE_BYTES = 1 << 20  # encrypted at a time
_TIME_VALUE = struct.Struct("@ll")

# OpenSSL's reason, or the start of it -> what whoever set the two sides up has to know
_REASONS = {
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS on this port",
    "HTTP_REQUEST": "the other side does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "the other side does not speak TLS on this port",
    "UNSUPPORTED_PROTOCOL": "the other side offers no version of TLS that is allowed here",
    "VERSION_TOO_LOW": "the other side offers no version of TLS that is allowed here",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the other side allows none of our versions of TLS",
    "NO_SHARED_CIPHER": "the other side offers no cipher suite of the profile (ECDHE with AES-GCM or ChaCha20)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the other side allows none of our cipher suites, or wants a certificate of ours",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the other side shows no certificate, and one is required",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side wants a certificate of ours",
    "TLSV1_ALERT_UNKNOWN_CA": "the other side does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the other side does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the other side does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the other side says that our certificate has expired",
}


class TlsFailed(Exception):
    """No TLS connection came about; `str(error)` says why."""


class Incomplete(OSError):
    """Bytes came that make no whole record yet; read again."""


class TlsSocket:
    """A socket to a connection's eyes: the few methods that it uses. Raises OSError where a socket would."""

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, *, as_server: bool, name: str = "") -> None:
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=as_server, server_hostname=name or None
        )
        self._records = memoryview(bytearray(_RECORDS_BYTES))

    def handshake(self, within_s: float) -> None:
        """Agree on keys, whatever the other side's pace, within this time. Raises TlsFailed."""
        deadline = time.monotonic() + within_s
        try:
            while True:
                try:
                    self._object.do_handshake()
                    self._flush()
                    return
                except ssl.SSLWantReadError:
                    self._flush()
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._pull_within(left_s):
                    raise TlsFailed(f"the handshake was not over within {within_s:g} s")
        except ssl.SSLError as error:
            self._say_alert()
            raise TlsFailed(explained(error)) from error
        except OSError as error:
            raise TlsFailed(f"the other side hung up in the middle of the handshake ({error.strerror})") from error

    @property
    def names(self) -> frozenset[str]:
        """Whom the other side's certificate names: common names of the subject and all alternative names."""
        return names_of(self._object.getpeercert() or {})

    @property
    def has_pending(self) -> bool:
        """Whether something can be read without the network."""
        return bool(self._object.pending() or self._incoming.pending)

    def recv_into(self, buffer: memoryview) -> int:
        """As much as is there, at least a byte; 0 at the end. Raises Incomplete, and BlockingIOError at a timeout."""
        count = 0
        is_read = False
        while count < len(buffer):
            try:
                got = int(self._object.read(len(buffer) - count, buffer[count:]))  # with a buffer, it counts
            except ssl.SSLWantReadError:
                if count:
                    break
                if is_read:
                    raise Incomplete("no whole record yet") from None
                if not self._pull():
                    return 0
                is_read = True
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                break
            except ssl.SSLError as error:
                raise ConnectionResetError(0, explained(error)) from error
            if not got:
                break
            count += got
        if self._outgoing.pending:
            self._flush()  # an answer of the record layer itself, such as new keys
        return count

    def recv(self, size: int) -> bytes:
        """What comes after our last word; nobody reads it, so it stays as it is."""
        return self._socket.recv(size)

    def sendall(self, data: bytes) -> None:
        """Encrypt and send."""
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            self._object.write(view[start : start + _PIECE_BYTES])
            self._flush()

    def shutdown(self, how: int) -> None:
        """End one or both directions. Only the end of sending is announced, by the thread that sends."""
        if how == socket.SHUT_WR:
            with contextlib.suppress(ssl.SSLError):  # it waits for the other side's word, which we do not need
                self._object.unwrap()
            self._flush()
        self._socket.shutdown(how)

    def setblocking(self, flag: bool) -> None:
        """See socket."""
        self._socket.setblocking(flag)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """See socket."""
        self._socket.setsockopt(level, option, value)

    def fileno(self) -> int:
        """See socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """See socket."""
        self._socket.close()

    def _pull(self) -> bool:
        """Read from the network; False when the other side has closed."""
        count = self._socket.recv_into(self._records)
        if count:
            self._incoming.write(self._records[:count])
        return bool(count)

    def _pull_within(self, seconds: float) -> bool:
        whole = int(seconds)
        value = _TIME_VALUE.pack(whole, max(int((seconds - whole) * 1e6), 1))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        try:
            if not self._pull():
                raise TlsFailed("the other side hung up in the middle of the handshake")
        except BlockingIOError:
            return False
        return True

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())

    def _say_alert(self) -> None:
        """The other side learns why, if it still listens."""
        try:
            self._flush()
        except OSError:
            return


def explained(error: ssl.SSLError) -> str:
    """What a failure means, for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the other side's certificate is not trusted: {error.verify_message}"
    return _REASONS.get(error.reason or "", f"TLS failed: {error.reason or error}")


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """The names in a certificate as `getpeercert` gives it."""
    subject = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
    return frozenset(subject | {str(value) for _, value in certificate.get("subjectAltName", ())})
