"""The HTTP load client: raw keep-alive sockets over one epoll loop in a process of its own, so that it is never the
bottleneck.

Bodies are counted, not kept: what is right about an answer is checked beforehand with `fetch`, which returns all of
it. Reads Content-Length, chunked and until-close answers (RFC 9112 §6); the last kind costs the server a new
connection per answer.
"""

from __future__ import annotations

import http.client
import multiprocessing
import selectors
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

RECEIVE_BYTES = 1 << 20
RETRIES = 20
SILENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer."""

    status: int
    headers: dict[str, str]  # names lower case
    body: bytes
    first_byte_s: float  # from the request's last byte to the body's first
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load client saw."""

    answers: int
    body_bytes: int
    elapsed_s: float
    latencies_s: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.elapsed_s

    @property
    def mb_per_second(self) -> float:
        """Megabytes (10**6) of bodies a second."""
        return self.body_bytes / self.elapsed_s / 1e6


def fetch(address: tuple[str, int], path: str, accept: str, *, keep: bool = True, timeout_s: float = 300.0) -> Answer:
    """GET once on a fresh connection; with `keep` false the body is dropped, its length is in `x-size`."""
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        begin = time.perf_counter()
        response = connection.getresponse()
        first = response.read(1)
        first_byte_s = time.perf_counter() - begin
        chunks, size = [first], len(first)
        buffer = bytearray(RECEIVE_BYTES)
        while count := response.readinto(buffer):
            size += count
            if keep:
                chunks.append(bytes(buffer[:count]))
        headers = {name.lower(): value for name, value in response.getheaders()} | {"x-size": str(size)}
        return Answer(response.status, headers, b"".join(chunks), first_byte_s, time.perf_counter() - begin)
    finally:
        connection.close()


def load(
    address: tuple[str, int], paths: Sequence[str], accept: str, *, connections: int, seconds: float, at_least: int = 1
) -> Load:
    """Ask for `paths` round and round over `connections`, in another process.

    Raises RuntimeError unless all are 200, or when nothing comes for SILENCE_S.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_drive, address, list(paths), accept, connections, seconds, at_least).result()


@dataclass(slots=True)
class _Connection:
    """One socket and where its answer stands."""

    socket: socket.socket
    begin: float = 0.0
    request: bytes = b""
    head: bytearray = field(default_factory=bytearray)
    reading_head: bool = True
    remaining: int = 0  # of the body, or of the current chunk with its CRLF
    until_close: bool = False
    chunked: bool = False
    body_bytes: int = 0


def _drive(
    address: tuple[str, int], paths: list[str], accept: str, connections: int, seconds: float, at_least: int
) -> Load:
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nAccept: {accept}\r\n\r\n".encode() for path in paths
    ]
    selector = selectors.DefaultSelector()
    buffer = memoryview(bytearray(RECEIVE_BYTES))
    latencies: list[float] = []
    size = sent = 0
    retries = RETRIES
    for _ in range(connections):
        connection = _Connection(_connect(address))
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    begin = time.perf_counter()
    for key in list(selector.get_map().values()):
        _send(key.data, requests[sent % len(requests)])
        sent += 1
    busy = connections
    while busy:
        ready = selector.select(SILENCE_S)
        if not ready:
            raise RuntimeError(f"the server sent nothing for {SILENCE_S:g} s")
        for key, _ in ready:
            connection = key.data
            try:
                if not _receive(connection, buffer):
                    continue
            except (
                ConnectionResetError
            ):  # closed while idle, as either side may at any time (RFC 9112 §9.3.1): ask again
                retries -= 1
                if not retries:
                    raise
                _reconnect(selector, connection, address)
                connection.socket.sendall(connection.request)
                continue
            now = time.perf_counter()
            latencies.append(now - connection.begin)
            size += connection.body_bytes
            if now - begin < seconds or sent < at_least:
                if connection.until_close:
                    _reconnect(selector, connection, address)
                _send(connection, requests[sent % len(requests)])
                sent += 1
            else:
                busy -= 1
                selector.unregister(connection.socket)  # its end, which may come at once, is no answer
                connection.socket.close()
    elapsed = time.perf_counter() - begin
    return Load(len(latencies), size, elapsed, tuple(latencies))


def _connect(address: tuple[str, int]) -> socket.socket:
    connected = socket.create_connection(address)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _reconnect(selector: selectors.BaseSelector, connection: _Connection, address: tuple[str, int]) -> None:
    selector.unregister(connection.socket)
    connection.socket.close()
    connection.socket = _connect(address)
    selector.register(connection.socket, selectors.EVENT_READ, connection)


def _send(connection: _Connection, request: bytes) -> None:
    connection.request = request
    connection.reading_head, connection.body_bytes, connection.begin = True, 0, time.perf_counter()
    connection.head.clear()
    connection.socket.sendall(request)


def _receive(connection: _Connection, buffer: memoryview) -> bool:
    """Take what one read brings; True when the answer is complete."""
    count = connection.socket.recv_into(buffer)
    if not count:
        if connection.until_close and not connection.reading_head:
            return True
        if connection.reading_head and not connection.head:
            raise ConnectionResetError
        raise RuntimeError("the server closed the connection within an answer")
    data = buffer[:count]
    if connection.reading_head:
        connection.head += data
        end = connection.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        data = memoryview(bytes(connection.head[end + 4 :]))
        _begin_body(connection, bytes(connection.head[:end]))
    return _take_chunks(connection, data) if connection.chunked else _take(connection, data)


def _begin_body(connection: _Connection, head: bytes) -> None:
    lines = head.decode("latin-1").split("\r\n")
    if lines[0].split()[1] != "200":
        raise RuntimeError(f"the server answered {lines[0]!r}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    connection.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    connection.until_close = not connection.chunked and "content-length" not in headers
    connection.remaining = int(headers.get("content-length", "0"))
    connection.reading_head = False
    connection.head.clear()


def _take(connection: _Connection, data: memoryview) -> bool:
    connection.body_bytes += len(data)
    connection.remaining -= len(data)
    return connection.remaining == 0 and not connection.until_close


def _take_chunks(connection: _Connection, data: memoryview) -> bool:
    """`head` collects the size line between chunks; `remaining` counts a chunk down, its CRLF included."""
    at, end = 0, len(data)
    while at < end:
        if connection.remaining:
            step = min(connection.remaining, end - at)
            connection.remaining -= step
            at += step
            continue
        connection.head.append(data[at])
        at += 1
        if connection.head.endswith(b"\r\n"):
            if connection.head == b"\r\n":  # the empty line after the last chunk
                return True
            length = int(connection.head.split(b";")[0], 16)
            connection.head.clear()
            connection.body_bytes += length
            connection.remaining = length + 2 if length else 0
    return False
