"""Work done ahead of the one who takes its results, in order and within a bound. Standard library only."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_order(futures: Iterable[Future[T]], depth: int) -> Generator[T, None, None]:
    """The results in order; at most `depth` of them are under way or wait to be taken.

    A future is taken from `futures`, which submits its work, only when its turn is near. Taking a result raises what
    the work raised. Closing the iterator cancels what has not begun.
    """
    ahead: deque[Future[T]] = deque()
    try:
        for future in futures:
            ahead.append(future)
            if len(ahead) >= depth:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def done(result: T) -> Future[T]:
    """A result that needs no work."""
    future: Future[T] = Future()
    future.set_result(result)
    return future
