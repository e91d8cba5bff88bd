"""The load client against a real server of each kind of body."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from bench.client import fetch, load

BODY = bytes(range(256)) * 1000


class _Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind = self.path.rsplit("/", 1)[1]
        self.send_response(404 if kind == "missing" else 200)
        if kind == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(BODY), 60000):
                piece = BODY[at : at + 60000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif kind == "close":
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(BODY)
        else:
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield "127.0.0.1", server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["length", "chunked", "close"])
def test_bodies_are_counted_whole(address: tuple[str, int], kind: str) -> None:
    result = load(address, [f"/{kind}"], "*/*", connections=2, seconds=0.0, at_least=7)
    assert result.answers == 7
    assert result.body_bytes == result.answers * len(BODY)
    assert len(result.latencies_s) == result.answers


def test_an_answer_that_is_no_success_ends_the_measurement(address: tuple[str, int]) -> None:
    with pytest.raises(RuntimeError, match="404"):
        load(address, ["/missing"], "*/*", connections=1, seconds=0.0)


def test_fetch_brings_the_whole_body(address: tuple[str, int]) -> None:
    answer = fetch(address, "/chunked", "*/*")
    assert (answer.status, answer.body) == (200, BODY)
    assert fetch(address, "/length", "*/*", keep=False).headers["x-size"] == str(len(BODY))
