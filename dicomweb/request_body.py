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

from bridge.errors import InvalidRequest, TooLarge


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
        self._is_too_large = announced_bytes > limit_bytes
        self._timeout_s = timeout_s
        self._coming: concurrent.futures.Future[Message] | None = None
        self._ended = False
        self.received_bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """The next chunk, never an empty one; its size is what the server had at hand."""
        while not self._ended:
            if self._is_too_large:
                self._ended = True
                raise TooLarge("the body is larger than http.body_limit_bytes")
            chunk = self._take()
            if chunk:
                return chunk
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Ask for no more; what was not taken is the server's to drop."""
        self._ended = True
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _take(self) -> bytes:
        message = self._next_message()
        if message["type"] == "http.disconnect":
            self._ended = True
            raise BrokenOff("the connection ended before the body was complete")
        chunk: bytes = message.get("body", b"")
        self.received_bytes += len(chunk)
        if self.received_bytes > self._limit:
            self._is_too_large = True  # said once what is within the limit has been worked on
            return chunk[: len(chunk) - (self.received_bytes - self._limit)]
        if message.get("more_body", False):
            self._coming = self._ask()
        else:
            self._ended = True
        return chunk

    def _next_message(self) -> Message:
        coming, self._coming = self._coming or self._ask(), None
        try:
            return coming.result(self._timeout_s)
        except concurrent.futures.TimeoutError:
            coming.cancel()
            self._ended = True
            raise TooSlow(f"nothing of the body came for {self._timeout_s:g} s") from None

    def _ask(self) -> concurrent.futures.Future[Message]:
        return asyncio.run_coroutine_threadsafe(self._received(), self._loop)

    async def _received(self) -> Message:
        return await self._receive()
