"""The audit trail: one JSON line an action, in a file of its own, and never a reason for failure."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge import audit
from storage.records import Origin, ResourceRef

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ORIGIN = Origin(door="HTTP", name="viewer", address="10.0.0.7")
REF = ResourceRef("north", "1.2", "1.2.3", "1.2.3.4")


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "audit.jsonl"
    audit.to_file(path)
    yield path
    assert audit._file is not None
    os.close(audit._file)
    audit._file = None


def test_a_line_says_who_from_where_what_and_the_outcome(trail: Path) -> None:
    audit.record("retrieve", at=AT, origin=ORIGIN, outcome="success", ref=REF)
    audit.record("search", at=AT, origin=ORIGIN, outcome="Forbidden")
    first, second = map(json.loads, trail.read_text().splitlines())
    assert first == {
        "at": "2026-11-23T08:00:00.000+00:00",
        "action": "retrieve",
        "door": "HTTP",
        "who": "viewer",
        "from": "10.0.0.7",
        "outcome": "success",
        "site": "north",
        "study": "1.2",
        "series": "1.2.3",
        "instance": "1.2.3.4",
    }
    assert (second["outcome"], "study" in second) == ("Forbidden", False)


def test_the_trail_is_not_for_everybody_to_read(trail: Path) -> None:
    audit.record("search", at=AT, origin=ORIGIN, outcome="success")
    assert trail.stat().st_mode & 0o007 == 0


def test_a_trail_that_cannot_be_written_goes_to_the_log(
    trail: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with caplog.at_level(logging.INFO):
        audit.record("search", at=AT, origin=ORIGIN, outcome="success")
    assert "No space left" in caplog.text
    assert '"action":"search"' in caplog.text
