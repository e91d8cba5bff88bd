"""Fixtures of the DIMSE door's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scp.running import RunningDoor, running_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RunningDoor]:
    """A door with default settings, on a free port, over an empty archive."""
    with running_door(tmp_path) as opened:
        yield opened
