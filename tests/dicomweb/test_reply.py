"""Answers on their way out: batches, early leavers, sources that fail, always closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from dicomweb.reply import BATCH_BYTES, Reply, send_reply, streamed, take, whole


class Source:
    """Chunks that say whether they were closed."""

    def __init__(self, chunks: list[bytes], error: Exception | None = None) -> None:
        self.closed = False
        self.read = 0
        self._chunks = chunks
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        return self.run()

    def run(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self.read += 1
                yield chunk
            if self._error:
                raise self._error
        finally:
            self.closed = True


def play(reply: Reply, *, method: str = "GET", leave_after: int | None = None) -> list[Message]:
    """Send a reply to a client who leaves after so many messages."""
    sent: list[Message] = []

    async def run() -> None:
        left = asyncio.Event()

        async def receive() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            if leave_after is not None and len(sent) >= leave_after:
                left.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        with ThreadPoolExecutor(2) as pool:
            await send_reply(reply, {"type": "http", "method": method}, receive, send, pool)

    asyncio.run(run())
    return sent


def body(sent: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in sent)


CHUNK = b"x" * (BATCH_BYTES // 2)


@given(st.lists(st.integers(0, 70_000), max_size=12))
def test_batches_put_together_are_the_source(sizes: list[int]) -> None:
    chunks = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    source, found, ended = iter(chunks), b"", False
    while not ended:
        batch, ended = take(source)
        found += b"".join(batch)
    assert found == b"".join(chunks)


def test_a_small_body_goes_out_with_its_length() -> None:
    source = Source([b"ab", b"c"])
    reply = streamed("a/b", source.run())
    sent = play(reply)
    assert source.closed
    assert (b"content-length", b"3") in sent[0]["headers"]
    assert body(sent) == b"abc"
    assert len(sent) == 2


def test_a_large_body_is_streamed_to_its_end_and_closed() -> None:
    source = Source([CHUNK] * 9)
    reply = streamed("a/b", source.run(), size_bytes=9 * len(CHUNK))
    assert source.read < 4
    sent = play(reply)
    assert source.closed
    assert body(sent) == CHUNK * 9
    assert not sent[-1].get("more_body")


def test_a_client_that_leaves_stops_the_reading_and_closes_the_source() -> None:
    source = Source([CHUNK] * 1000)
    play(streamed("a/b", source.run()), leave_after=4)
    assert source.closed
    assert source.read < 20


def test_head_reads_no_further_and_closes_the_source() -> None:
    source = Source([CHUNK] * 100)
    sent = play(streamed("a/b", source.run(), size_bytes=100 * len(CHUNK)), method="HEAD")
    assert source.closed
    assert source.read < 4
    assert body(sent) == b""
    assert (b"content-length", b"%d" % (100 * len(CHUNK))) in sent[0]["headers"]


def test_a_source_that_fails_before_the_first_byte_raises_and_is_closed() -> None:
    source = Source([b"ab"], ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        streamed("a/b", source.run())
    assert source.closed


def test_a_source_that_fails_midway_never_ends_the_message() -> None:
    source = Source([CHUNK] * 6, ValueError("lost"))
    sent: list[Message] = []
    with pytest.raises(ValueError, match="lost"):
        sent = play(streamed("a/b", source.run()))
    assert source.closed
    assert not any(message.get("more_body") is False for message in sent)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_content_have_no_length(status: int) -> None:
    sent = play(Reply(status=status, size_bytes=0))
    assert not any(name == b"content-length" for name, _ in sent[0]["headers"])


def test_an_empty_body_has_length_zero() -> None:
    sent = play(whole(200, "a/b", b""))
    assert (b"content-length", b"0") in sent[0]["headers"]
    assert body(sent) == b""
