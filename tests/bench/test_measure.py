"""The arithmetic of the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import measure
from bench.measure import Measure
from bench.report import table
from bench.target import parse_target


def test_ratio_says_how_many_times_better_ours_is() -> None:
    speed = Measure(name="speed", unit="1/s", samples={"rival": [10, 30, 20], "ours": [39, 40, 41]})
    assert speed.ratio() == 2.0
    delay = Measure(name="delay", unit="s", higher_is_better=False, samples={"rival": [4.0], "ours": [1.0]})
    assert delay.ratio() == 4.0


def test_a_goal_is_met_from_its_value_on() -> None:
    item = Measure(name="speed", unit="1/s", goal=2.0, stretch=2.1, samples={"rival": [10], "ours": [20]})
    assert item.verdict(item.goal) is True
    assert item.verdict(item.stretch) is False


def test_an_absolute_goal_looks_at_ours_alone() -> None:
    item = Measure(name="memory", unit="MB", absolute=True, goal=100, samples={"ours": [99.0]})
    assert item.verdict(item.goal) is True
    assert item.verdict(50) is False


def test_nothing_is_claimed_without_a_rival() -> None:
    item = Measure(name="speed", unit="1/s", goal=2.0, samples={"ours": [20]})
    assert item.ratio() is None
    assert item.verdict(item.goal) is None


def test_servers_take_turns_and_the_order_turns_round() -> None:
    order: list[str] = []

    def sample(name: str) -> float:
        order.append(name)
        return 1.0

    measure.interleave(Measure(name="x", unit="1/s"), ["rival", "ours"], 2, sample, show=False)
    assert order == ["rival", "ours", "ours", "rival"]


def test_the_report_counts_missed_goals(tmp_path: Path) -> None:
    slow = Measure(name="slow", unit="1/s", goal=2.0, samples={"rival": [10], "ours": [10]})
    fast = Measure(name="fast", unit="1/s", goal=2.0, samples={"rival": [10], "ours": [30]})
    measure.save(tmp_path / "x.json", [slow, fast])
    text, missed = table(tmp_path)
    assert missed == 1
    assert "1.00x" in text
    assert "3.00x" in text


@pytest.mark.parametrize("text", ["BRIDGE", "BRIDGE@host", "@host:1", "BRIDGE@:1", "BRIDGE@host:x"])
def test_a_malformed_dimse_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="AET@host:port"):
        parse_target("ours", "http://127.0.0.1:1", text)
