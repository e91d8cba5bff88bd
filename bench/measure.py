"""Measurements as plain values: samples of each server, median, spread, ratio, goal."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Measure:
    """One line of a table. `goal` and `stretch` are ratios to the rival, or limits of our own value when `absolute`."""

    name: str
    unit: str
    higher_is_better: bool = True
    goal: float | None = None
    stretch: float | None = None
    absolute: bool = False
    samples: dict[str, list[float]] = field(default_factory=dict)  # server -> one value a round
    note: str = ""

    def add(self, server: str, value: float) -> None:
        """One more round."""
        self.samples.setdefault(server, []).append(value)

    def median(self, server: str) -> float | None:
        """Median over the rounds, None where the server was not measured."""
        return statistics.median(self.samples[server]) if self.samples.get(server) else None

    def ratio(self) -> float | None:
        """How many times better we are, median against median."""
        ours, rival = self.median("ours"), self.median("rival")
        if not ours or not rival:
            return None
        return ours / rival if self.higher_is_better else rival / ours

    def verdict(self, limit: float | None) -> bool | None:
        """Whether a goal or stretch is met, None when it cannot be told."""
        value = self.median("ours") if self.absolute else self.ratio()
        if limit is None or value is None:
            return None
        return value <= limit if self.absolute else value >= limit


def interleave(
    measure: Measure, servers: Sequence[str], rounds: int, sample: Callable[[str], float], *, show: bool = True
) -> Measure:
    """Sample each server in turn, `rounds` times, the order turned round every time."""
    for number in range(rounds):
        for server in servers if number % 2 == 0 else list(reversed(servers)):
            measure.add(server, sample(server))
    if show:
        print(line(measure), flush=True)
    return measure


def save(path: Path, measures: Sequence[Measure]) -> None:
    """Write them as JSON for `bench.report`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(measure) for measure in measures], indent=1))


def read(path: Path) -> list[Measure]:
    """What `save` wrote."""
    return [Measure(**values) for values in json.loads(path.read_text())]


def line(measure: Measure) -> str:
    """One row of a Markdown table: name, rival, ours, ratio, goal, met, stretch."""
    ratio = measure.ratio()
    sign = "<=" if measure.absolute else ">="
    suffix = f" {measure.unit}" if measure.absolute else "x"
    cells = [
        f"{measure.name}, {measure.unit}", _spread(measure, "rival"), _spread(measure, "ours"),
        f"{ratio:.2f}x" if ratio else "-",
        f"{sign} {measure.goal:g}{suffix}" if measure.goal is not None else "-", _word(measure.verdict(measure.goal)),
        f"{sign} {measure.stretch:g}{suffix}" if measure.stretch is not None else "-",
        _word(measure.verdict(measure.stretch)),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + (f" | {measure.note} |" if measure.note else " |")


HEADER = (
    "| what | rival: median (min-max) | ours: median (min-max) | ratio | goal | met | stretch | met |\n|" + "---|" * 8
)


def _spread(measure: Measure, server: str) -> str:
    values = measure.samples.get(server)
    if not values:
        return "-"
    return f"{_number(statistics.median(values))} ({_number(min(values))}-{_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _word(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "NO"
