"""The body of a request as chunks for a pool thread, never held whole (ASGI `http.request` messages).

The thread asks, the event loop receives: while one chunk is worked on the next is on its way, and no more than that, so
back-pressure travels to the sender. Nothing is received before the first chunk is asked for: a refusal comes before
`100 Continue` (RFC 9110 §10.1.1) and before a byte of the body was taken.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from types import TracebackType
from typing import Self

from starlette.types import Message, Receive

from bridge.errors import BridgeError, InvalidRequest, TooLarge


class TooSlow(InvalidRequest):
    """The sender let more time pass than it may: 408, where InvalidRequest is 400."""


class BrokenOff(InvalidRequest):
    """The connection ended before the body did; there is nobody left to answer."""


class RequestBody:
    """An iterator of chunks, to be used by one thread at a time.

    Raises TooLarge beyond `limit_bytes` (at once when more are announced), TooSlow when nothing comes for `timeout_s`,
    BrokenOff when the sender is gone.
    """

    def __init__(
        self,
        receive: Receive,
        loop: asyncio.AbstractEventLoop,
        *,
        limit_bytes: int,
        timeout_s: float,
        announced_bytes: int = 0,
    ) -> None:
        self._receive = receive
        self._loop = loop
        self._limit = limit_bytes
        self._timeout_s = timeout_s
        self._coming: concurrent.futures.Future[Message] | None = None
        self._ended = False
        self._failure: BridgeError | None = _too_large() if announced_bytes > limit_bytes else None
        self.received_bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """The next chunk, never an empty one; its size is what the server had at hand."""
        while self._failure is None:
            if self._ended:
                raise StopIteration
            chunk = self._take()
            if chunk:
                return chunk
        raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Ask for no more; what was not taken is the server's to drop. A thread that still waits is let go."""
        self._failure = self._failure or BrokenOff("the request was given up before its body was complete")
        if self._coming is not None:
            self._coming.cancel()

    def _take(self) -> bytes:
        """The body of the next message; empty, with the failure noted, when there is none."""
        coming = self._coming or self._ask()
        try:
            message = coming.result(self._timeout_s)
        except concurrent.futures.TimeoutError:
            coming.cancel()
            self._failure = TooSlow(f"nothing of the body came for {self._timeout_s:g} s")
            return b""
        except concurrent.futures.CancelledError:
            return b""
        if message["type"] == "http.disconnect":
            self._failure = BrokenOff("the connection ended before the body was complete")
            return b""
        self._ended = not message.get("more_body", False)
        return self._within_limit(message.get("body", b""))

    def _within_limit(self, chunk: bytes) -> bytes:
        """The chunk, and the one behind it asked for; cut off where it passes the limit, which is said next."""
        self.received_bytes += len(chunk)
        if self.received_bytes > self._limit:
            self._failure = _too_large()
            return chunk[: len(chunk) - (self.received_bytes - self._limit)]
        if not self._ended:
            self._ask()
        return chunk

    def _ask(self) -> concurrent.futures.Future[Message]:
        self._coming = asyncio.run_coroutine_threadsafe(self._received(), self._loop)
        if self._failure is not None:  # given up in this very moment
            self._coming.cancel()
        return self._coming

    async def _received(self) -> Message:
        return await self._receive()


def _too_large() -> TooLarge:
    return TooLarge("the body is larger than http.body_limit_bytes")
