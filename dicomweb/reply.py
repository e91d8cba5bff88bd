"""An answer on its way out: made in one visit to a pool thread, streamed batch by batch, always closed (PS3.18 §8.5).

The first batch is read in the same visit that looked the resource up, so a small answer costs one hop and goes out with
its Content-Length. While a batch is being sent the next one is read. When the client leaves, the source is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

BATCH_BYTES = 1 << 20
_JOIN_BYTES = 1 << 16  # pieces of a batch below this size are sent as one

Header = tuple[bytes, bytes]

# Of what is retrieved: browsers keep it, and ask each time whether it is still so.
CACHING: list[Header] = [(b"cache-control", b"private, no-cache")]
VARY: Header = (b"vary", b"Accept, Authorization")


@dataclass(slots=True, kw_only=True)
class Reply:
    """Status, headers, the first bytes, and where more come from."""

    status: int
    headers: list[Header] = field(default_factory=list)
    first: list[bytes] = field(default_factory=list)
    rest: Iterator[bytes] | None = None
    size_bytes: int | None = None  # of the whole body, None when only the end tells

    def close(self) -> None:
        """Close the source."""
        close = getattr(self.rest, "close", None)
        self.rest = None
        if close is not None:
            close()


def whole(status: int, content_type: str | bytes, body: bytes, headers: list[Header] | None = None) -> Reply:
    """A body that is there already."""
    kind = content_type.encode("latin-1") if isinstance(content_type, str) else content_type
    return Reply(
        status=status,
        headers=[(b"content-type", kind), *(headers or [])],
        first=[body] if body else [],
        size_bytes=len(body),
    )


def streamed(
    content_type: str, chunks: Iterator[bytes], *, size_bytes: int | None = None, headers: list[Header] | None = None
) -> Reply:
    """A body that is read as it goes; its first batch is read here. Raises what the source raises for it."""
    try:
        batch, ended = take(chunks)
    except BaseException:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        raise
    if ended:
        size_bytes = sum(map(len, batch))
    return Reply(
        status=200,
        headers=[(b"content-type", content_type.encode("latin-1")), *(headers or [])],
        first=batch,
        rest=None if ended else chunks,
        size_bytes=size_bytes,
    )


def take(chunks: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """About BATCH_BYTES of chunks, small neighbours joined, and whether the source is at its end."""
    batch: list[bytes] = []
    small: list[bytes] = []
    size = small_size = 0
    for chunk in chunks:
        size += len(chunk)
        if len(chunk) + small_size <= _JOIN_BYTES:
            small.append(chunk)
            small_size += len(chunk)
        else:
            if small:
                batch.append(b"".join(small))
                small, small_size = [], 0
            if len(chunk) <= _JOIN_BYTES:
                small, small_size = [chunk], len(chunk)
            else:
                batch.append(chunk)
        if size >= BATCH_BYTES:
            return ([*batch, b"".join(small)] if small else batch), False
    return ([*batch, b"".join(small)] if small else batch), True


async def send_reply(reply: Reply, scope: Scope, receive: Receive, send: Send, pool: ThreadPoolExecutor) -> int:
    """Send it all and give back how many bytes of body went out. A source that fails midway cuts the connection."""
    headers = reply.headers
    if reply.size_bytes is not None and reply.status not in (204, 304):
        headers = [*headers, (b"content-length", b"%d" % reply.size_bytes)]
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if scope["method"] == "HEAD" or reply.status in (204, 304):
            await send({"type": "http.response.body", "body": b""})
            return 0
        if reply.rest is None:
            return await _send_all(reply.first, send)
        return await _send_batches(reply, receive, send, pool)
    finally:
        if reply.rest is not None:
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(pool, reply.close))


async def _send_all(chunks: list[bytes], send: Send) -> int:
    """A body that is in memory already; its last chunk ends the message."""
    *before, last = chunks or [b""]
    for chunk in before:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": last})
    return sum(map(len, chunks))


async def _send_batches(reply: Reply, receive: Receive, send: Send, pool: ThreadPoolExecutor) -> int:
    loop = asyncio.get_running_loop()
    gone = loop.create_task(_disconnected(receive))
    batch, sent = reply.first, 0
    following: asyncio.Future[tuple[list[bytes], bool]] | None = None
    try:
        while True:
            if reply.rest is not None and following is None:
                following = loop.run_in_executor(pool, take, reply.rest)
            for chunk in batch:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                sent += len(chunk)
                if gone.done():
                    return sent
            if following is None:
                await send({"type": "http.response.body", "body": b""})
                return sent
            pending, following = following, None
            batch, ended = await asyncio.shield(pending)
            if ended:
                reply.rest = None
    finally:
        gone.cancel()
        if following is not None:  # a generator that runs in a thread cannot be closed before it has come to rest
            await asyncio.wait([following])
            following.exception()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
