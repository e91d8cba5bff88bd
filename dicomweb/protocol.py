"""uvicorn's HTTP/1.1 protocol with a limit on what a request head may grow to before it is complete (RFC 6585 §5)."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def limited_protocol(header_bytes: int) -> type[HttpToolsProtocol]:
    """A protocol class that closes connections whose request head passes `header_bytes`."""

    class LimitedProtocol(HttpToolsProtocol):
        """Counts bytes until the head is complete; the body that follows is not counted."""

        _head_bytes = 0
        _in_body = False

        def data_received(self, data: bytes) -> None:
            if not self._in_body:
                self._head_bytes += len(data)
                if self._head_bytes > header_bytes and not self._completes(data):
                    self.transport.write(_TOO_LARGE)
                    self.transport.close()
                    return
            super().data_received(data)

        def on_headers_complete(self) -> None:
            self._in_body = True
            self._head_bytes = 0
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_body = False
            super().on_message_complete()

        def _completes(self, data: bytes) -> bool:
            """A head that ends in this very piece is judged by its own length, not by what follows it."""
            end = data.find(b"\r\n\r\n")
            return end >= 0 and self._head_bytes - len(data) + end <= header_bytes

    return LimitedProtocol
