"""How fast a rule may send."""

from __future__ import annotations

from bridge.forwarding.pace import PIECE_BYTES, Pace


class Time:
    """Stands still but for sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def paced(time: Time, rate: int) -> Pace:
    return Pace(rate, clock=lambda: time.now, sleep=time.sleep)


def test_bytes_pass_no_faster_than_agreed() -> None:
    time = Time()
    pace = paced(time, PIECE_BYTES)
    pieces = list(pace.through([bytes(3 * PIECE_BYTES), b"end"]))
    assert b"".join(pieces) == bytes(3 * PIECE_BYTES) + b"end"
    assert max(map(len, pieces)) == PIECE_BYTES
    assert time.now == 103.0


def test_the_account_goes_on_from_instance_to_instance() -> None:
    time = Time()
    pace = paced(time, PIECE_BYTES)
    for _ in range(3):
        list(pace.through([bytes(PIECE_BYTES)]))
    assert time.now == 102.0


def test_without_a_rate_chunks_pass_as_they_are() -> None:
    time = Time()
    chunks = [bytes(5 * PIECE_BYTES), b"end"]
    assert list(paced(time, 0).through(chunks)) == chunks
    assert time.now == 100.0
