"""Every verb of the command line and every metric is explained, and nothing that does not exist is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest
import typer.main

from bridge import metrics
from bridge.cli import app
from storage.index.base import Tally
from tests.conftest import REPOSITORY

CLI = (REPOSITORY / "docs" / "cli.md").read_text()
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()
TALLY = Tally(studies=1, series=1, instances=1, size_bytes=1, conflicts=0, waiting_for_reclaim=0, by_store={"hot": 1})
FROM_THE_LIBRARY = ("python_", "process_")


def verbs(command: object, words: tuple[str, ...] = ("dicom-bridge",)) -> Iterator[str]:
    """`dicom-bridge keys add`, …: every command that does something."""
    below: Mapping[str, object] | None = getattr(command, "commands", None)  # a group has them
    if below is None:
        yield " ".join(words)
    else:
        for name, verb in below.items():
            yield from verbs(verb, (*words, name))


VERBS = sorted(verbs(typer.main.get_command(app)))


def exposed() -> set[str]:
    """The names of the samples in `/metrics`, a histogram's as one."""
    lines = metrics.exposition(TALLY).decode().splitlines()
    named = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
    return {name for name in named if not name.startswith(FROM_THE_LIBRARY) and not name.endswith("_created")}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_a_row_in_the_table_of_verbs(verb: str) -> None:
    assert re.search(rf"^\| `{re.escape(verb)}[` ]", CLI, re.MULTILINE), f"docs/cli.md needs a row for `{verb}`"


def test_no_row_outlives_its_verb() -> None:
    rows = re.findall(r"^\| `(dicom-bridge [a-z -]+?)(?: [A-Z].*)?` \|", CLI, re.MULTILINE)
    assert sorted(rows) == VERBS


@pytest.mark.parametrize("name", sorted(exposed()))
def test_a_metric_is_in_the_table_of_metrics(name: str) -> None:
    assert re.search(rf"^\|.*`{name}[`{{]", OPERATIONS, re.MULTILINE), f"docs/operations.md needs a row for `{name}`"


def test_no_row_outlives_its_metric() -> None:
    table = OPERATIONS.partition("## Metrics")[2].partition("## ")[0]
    rows = re.findall(r"^\|.*$", table, re.MULTILINE)
    written = {name for row in rows for name in re.findall(r"`(bridge_[a-z_]+)", row)}
    assert written == exposed()
