"""The benches run from end to end against our own server, with tiny numbers; nothing is timed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import cstore, dicomweb, memory, stow, viewer
from bench.fill import Contents, fill
from bench.objects import tiny_template
from bench.servers import ours
from bench.target import Target

pytestmark = pytest.mark.server


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, Target]]:
    with ours(tmp_path) as target:
        yield {"ours": target}


def test_cstore_counts_and_verifies(servers: dict[str, Target]) -> None:
    measures = cstore.run(servers, associations=[1, 2], objects=6, rounds=1, template=tiny_template(), seed=1)
    assert [len(item.samples["ours"]) for item in measures] == [1, 1]


def test_stow_counts_and_verifies(servers: dict[str, Target]) -> None:
    measures = stow.run(servers, connections=[1, 2], objects=6, rounds=1, template=tiny_template(), seed=1)
    assert [len(item.samples["ours"]) for item in measures] == [1, 1, 1]


def test_dicomweb_finds_every_answer_right(servers: dict[str, Target]) -> None:
    contents = Contents(studies=60, slices=4, frames=3, compressed=2, singles=4)
    fill(servers, contents, stable_age_s=0.0)
    cases = [*dicomweb.search_cases(contents), *dicomweb.series_cases(contents), *dicomweb.retrieve_cases(contents)]
    measures = dicomweb.run(servers, cases, rounds=1, seconds=0.0)
    assert {item.name: item.note for item in measures if item.note} == {}
    assert all(item.samples["ours"] for item in measures)


def test_a_viewer_opens_each_series_once(servers: dict[str, Target]) -> None:
    opened = [viewer.Series(number, 3) for number in range(2)]
    viewer.fill(servers, opened)
    assert [len(item.samples["ours"]) for item in viewer.run(servers, opened)] == [2, 2, 2, 2]


def test_memory_sees_the_whole_process_tree(servers: dict[str, Target]) -> None:
    measures = memory.run(servers, megabytes=4, rounds=1, store="local")
    assert measures[0].samples["ours"][0] > 10
