"""Work done ahead of the one who takes its results, in order and within a bound. Standard library only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")


def in_order(executor: Executor, calls: Iterable[Callable[[], T]], depth: int) -> Generator[T, None, None]:
    """The results of the calls, in order; at most `depth` of them are under way or wait to be taken.

    A call is taken from `calls` only when its turn is near. Taking a result raises what its call raised. Closing the
    iterator cancels those that have not begun.
    """
    ahead: deque[Future[T]] = deque()
    try:
        for call in calls:
            ahead.append(executor.submit(call))
            if len(ahead) >= depth:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
