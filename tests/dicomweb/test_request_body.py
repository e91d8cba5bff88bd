"""A request's body in a pool thread: chunk by chunk, one ahead, and let go when the request is given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.errors import TooLarge
from dicomweb.request_body import BrokenOff, RequestBody, TooSlow

Message = dict[str, Any]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join(10)
    pending = asyncio.all_tasks(running)  # what was cancelled may not have heard of it before the loop stopped
    for task in pending:
        task.cancel()
    if pending:
        running.run_until_complete(asyncio.wait(pending, timeout=10))
    running.close()


class Sender:
    """Gives out its messages, and then nothing more; counts how often it was asked."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.asked = 0
        self.waiting = threading.Event()

    async def receive(self) -> Message:
        self.asked += 1
        if self._messages:
            return self._messages.pop(0)
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("never")


def chunk(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def body_of(loop: asyncio.AbstractEventLoop, sender: Sender, **options: Any) -> RequestBody:
    return RequestBody(sender.receive, loop, **{"limit_bytes": 100, "timeout_s": 20.0} | options)


def test_chunks_come_in_order_and_empty_ones_are_left_out(loop: asyncio.AbstractEventLoop) -> None:
    sender = Sender(chunk(b"ab"), chunk(b""), chunk(b"c"), chunk(b"", more=False))
    with body_of(loop, sender) as body:
        assert list(body) == [b"ab", b"c"]
        assert list(body) == []
    assert sender.asked == 4


def test_nothing_is_received_before_the_first_chunk_is_asked_for(loop: asyncio.AbstractEventLoop) -> None:
    sender = Sender(chunk(b"ab", more=False))
    with body_of(loop, sender):
        pass
    assert sender.asked == 0


def test_one_chunk_is_on_its_way_while_another_is_worked_on(loop: asyncio.AbstractEventLoop) -> None:
    sender = Sender(chunk(b"a"))
    with body_of(loop, sender) as body:
        assert next(body) == b"a"
        assert sender.waiting.wait(20)
        assert sender.asked == 2


def test_what_is_within_the_limit_comes_before_the_refusal(loop: asyncio.AbstractEventLoop) -> None:
    with body_of(loop, Sender(chunk(b"abc"), chunk(b"def", more=False)), limit_bytes=4) as body:
        assert [next(body), next(body)] == [b"abc", b"d"]
        for _ in range(2):
            with pytest.raises(TooLarge):
                next(body)


def test_too_much_announced_is_refused_without_asking(loop: asyncio.AbstractEventLoop) -> None:
    sender = Sender(chunk(b"abc"))
    with body_of(loop, sender, announced_bytes=101) as body, pytest.raises(TooLarge):
        next(body)
    assert sender.asked == 0


@pytest.mark.parametrize(
    ("messages", "options", "error"),
    [([{"type": "http.disconnect"}], {}, BrokenOff), ([chunk(b""), {"type": "http.disconnect"}], {}, BrokenOff),
     ([], {"timeout_s": 0.01}, TooSlow)],
)  # fmt: skip
def test_a_body_that_does_not_end_is_never_taken_for_a_whole_one(
    loop: asyncio.AbstractEventLoop, messages: list[Message], options: dict[str, Any], error: type[Exception]
) -> None:
    with body_of(loop, Sender(*messages), **options) as body:
        for _ in range(2):
            with pytest.raises(error):
                next(body)


def test_a_thread_that_waits_is_let_go_when_the_request_is_given_up(loop: asyncio.AbstractEventLoop) -> None:
    sender = Sender(chunk(b"a"))
    said: list[Exception] = []

    def work(iterate: Callable[[], bytes]) -> None:
        try:
            while iterate():
                pass
        except Exception as error:
            said.append(error)

    with body_of(loop, sender) as body:
        thread = threading.Thread(target=work, args=(body.__next__,))
        thread.start()
        assert sender.waiting.wait(20)
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(said[0], BrokenOff)


def test_after_the_request_was_given_up_nothing_more_comes(loop: asyncio.AbstractEventLoop) -> None:
    body = body_of(loop, Sender(chunk(b"a"), chunk(b"b")))
    with body:
        assert next(body) == b"a"
    with pytest.raises(BrokenOff):
        next(body)
