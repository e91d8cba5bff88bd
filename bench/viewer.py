"""A viewer's cold open of a large series: series list, metadata, first frame, all frames over 6 connections.

`python -m bench.viewer --start`. Each round opens a series that nobody has asked for before; a step's answer is checked
after it was timed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import measure
from bench.answers import JSON, OCTETS, WrongAnswer, parts
from bench.client import fetch, load
from bench.measure import Measure
from bench.objects import Person, ct_series, ct_template, person, uid
from bench.senders import push, write_files
from bench.servers import add_arguments, targets, variant
from bench.target import CACHE, Target, rest

CONNECTIONS = 6  # a browser's, for one host over HTTP/1.1
FRAME_BYTES = 512 * 512 * 2
ASSOCIATIONS = 4
STEPS = ("series list", "metadata", "first frame", "all frames")


@dataclass(frozen=True, slots=True)
class Series:
    """One series of `slices` CT slices, a study of its own."""

    number: int
    slices: int

    @property
    def path(self) -> str:
        """Its resource."""
        return f"{self.study}/series/{self._series}"

    @property
    def study(self) -> str:
        """Its study's resource."""
        return f"/studies/{self._who.study_uid}"

    @property
    def frames(self) -> list[str]:
        """Its slices' only frames."""
        return [f"{self.path}/instances/{uid(self._first + slice_)}/frames/1" for slice_ in range(self.slices)]

    def files(self) -> list[bytearray]:
        """Its slices."""
        return list(ct_series(self._who, self.slices, self._series, self._first, ct_template()))

    @property
    def _who(self) -> Person:
        return person(6 * 10**7 + self.number, 10**8)

    @property
    def _series(self) -> str:
        return uid(4 * 10**36 + self.number)

    @property
    def _first(self) -> int:
        return 4 * 10**36 + 10**9 + self.number * 10**5


def fill(servers: dict[str, Target], opened: list[Series]) -> None:
    """Send every series to each server."""
    for target in servers.values():
        for series in opened:
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                push(target, write_files(Path(folder), series.files(), min(ASSOCIATIONS, series.slices)))


def run(servers: dict[str, Target], opened: list[Series]) -> list[Measure]:
    """Open one series a round, the servers in turn. Raises WrongAnswer."""
    measures = {step: Measure(name=f"cold open: {step}", unit="ms", higher_is_better=False, goal=1.0) for step in STEPS}
    for turn, series in enumerate(opened):
        for name in sorted(servers, reverse=turn % 2 == 1):
            for step, milliseconds in zip(STEPS, _open(servers[name], series), strict=True):
                measures[step].add(name, milliseconds)
    for item in measures.values():
        print(measure.line(item), flush=True)
    return list(measures.values())


def _open(target: Target, series: Series) -> tuple[float, ...]:
    """Milliseconds of each step."""
    asked = (
        (f"{series.study}/series?includefield=0008103E,00080021", JSON),
        (f"{series.path}/metadata", JSON),
        (series.frames[0], OCTETS),
    )
    listed, described, first = (fetch(target.http_address, target.root + path, accept) for path, accept in asked)
    if [len(json.loads(one.body)) for one in (listed, described)] != [1, series.slices] or first.status != 200:
        raise WrongAnswer(f"{target.name} does not hold the series")
    if len(parts(first.headers["content-type"], first.body)[0]) != FRAME_BYTES:
        raise WrongAnswer(f"{target.name} returns another frame")
    paths = [target.root + path for path in series.frames]
    result = load(target.http_address, paths, OCTETS, connections=CONNECTIONS, seconds=0.0, at_least=len(paths))
    if result.answers < len(paths) or result.body_bytes < len(paths) * FRAME_BYTES:
        raise WrongAnswer(f"{target.name} returns fewer frames")
    return tuple(1000 * step.elapsed_s for step in (listed, described, first, result))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--slices", type=int, default=500)
    arguments = parser.parse_args()
    opened = [Series(number, arguments.slices) for number in range(arguments.rounds)]
    with targets(arguments) as servers:
        fill(servers, opened)
        rest(servers)
        print(measure.HEADER)
        measures = run(servers, opened)
    measure.save(arguments.results / f"viewer{variant(arguments)}.json", measures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
