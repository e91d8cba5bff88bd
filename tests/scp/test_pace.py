"""A peer's pace: held back, never refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.settings import Peer as KnownPeer
from scp.pace import Pace, pace_of
from tests.bridge.archives import SERIES, data_set
from tests.scp.running import running_door, settings, wait_for
from tests.scp.wire import STORE_CONTEXT, Peer


class Time:
    """The machine's clock, moved by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """The clock that paces read."""
    clock = Time()
    monkeypatch.setattr("scp.pace.time", clock)
    return clock


def pace(directory: Path, **rates: float) -> Pace:
    """The pace of a peer with these rates."""
    made = pace_of(directory, KnownPeer(name="ct-1", ae_title="CT01", **rates))  # type: ignore[arg-type]
    assert made is not None
    return made


def test_without_a_rate_there_is_no_pace(tmp_path: Path) -> None:
    assert pace_of(tmp_path, None) is None
    assert pace_of(tmp_path, KnownPeer(name="ct-1", ae_title="CT01")) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_delivered_must_be_waited_for(tmp_path: Path, time: Time) -> None:
    one = pace(tmp_path, bytes_per_second=1000)
    assert one.owed_s(250, 0) == pytest.approx(0)  # a quiet peer may deliver a quarter of a second's worth at once
    assert one.owed_s(1000, 0) == pytest.approx(1)
    time.now += 1
    assert one.owed_s(500, 0) == pytest.approx(0.5)
    one.close()


def test_two_associations_share_one_pace(tmp_path: Path, time: Time) -> None:
    first, second = pace(tmp_path, instances_per_second=2), pace(tmp_path, instances_per_second=2)
    owed = [one.owed_s(10, 1) for one in (first, second, first, second)]
    assert owed == pytest.approx([0.25, 0.75, 1.25, 1.75])
    first.close()
    second.close()


def test_the_slower_of_two_rates_counts(tmp_path: Path, time: Time) -> None:
    one = pace(tmp_path, bytes_per_second=100, instances_per_second=100)
    assert one.owed_s(100, 1) == pytest.approx(0.75)
    one.close()


def test_a_file_of_before_the_machine_started_holds_nobody_for_long(tmp_path: Path, time: Time) -> None:
    time.now = 1e6
    before = pace(tmp_path, bytes_per_second=10)
    before.owed_s(100, 0)
    time.now = 5.0
    assert before.owed_s(1, 0) <= 60
    before.close()


def test_a_paced_peer_is_served_in_its_time_and_completely(tmp_path: Path) -> None:
    known = (KnownPeer(name="a", ae_title="SENDER", instances_per_second=20.0, bytes_per_second=100_000),)
    with running_door(tmp_path, settings(peers=known)) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        for number in range(1, 9):
            assert peer.store(f"{SERIES}.{number}", data_set(number)) == 0x0000
        peer.release()
        assert door.count() == 8


def test_a_stop_does_not_wait_for_a_pace(tmp_path: Path) -> None:
    known = (KnownPeer(name="a", ae_title="SENDER", instances_per_second=0.02),)
    with running_door(tmp_path, settings(peers=known)) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        peer.send_store(f"{SERIES}.1", data_set())
        wait_for(lambda: door.count() == 1, "the instance is stored, its answer waits")
        door.server.stop()
        assert peer.status() == 0x0000
        peer.expect_abort(0, 0)
