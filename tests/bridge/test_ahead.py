"""Work ahead: in order, within its bound, cancelled when nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from bridge.ahead import done, in_order


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_results_come_in_order_and_no_more_than_the_depth_is_under_way(threads: ThreadPoolExecutor) -> None:
    submitted: list[int] = []

    def futures() -> Iterator[Future[int]]:
        for number in range(20):
            submitted.append(number)
            yield threads.submit(lambda number=number: number * 2)

    results = in_order(futures(), 3)
    for number in range(20):
        assert next(results) == number * 2
        assert len(submitted) <= number + 3
    assert list(results) == []


def test_what_needs_no_work_keeps_its_place(threads: ThreadPoolExecutor) -> None:
    futures = (done(number) if number % 2 else threads.submit(lambda number=number: number) for number in range(6))
    assert list(in_order(futures, 2)) == list(range(6))


def test_the_error_of_a_piece_of_work_comes_in_its_turn(threads: ThreadPoolExecutor) -> None:
    results = in_order((threads.submit(divmod, 6, number) for number in (3, 0, 2)), 3)
    assert next(results) == (2, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_cancels_what_has_not_begun() -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        futures = [done(1), executor.submit(go.wait, 20), executor.submit(go.wait, 20)]
        results = in_order(iter(futures), 3)
        assert next(results) == 1
        results.close()
        assert futures[2].cancelled()
        go.set()
