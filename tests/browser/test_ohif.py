"""OHIF 3 in Chromium against the running bridge: the work list, then a real CT on the screen."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from bench.servers import ours
from bench.target import Target
from sample_data.demo import send
from sample_data.generate import generate
from tests.browser import viewer
from tests.conftest import Dcmtk

pytestmark = pytest.mark.server
SLICES = 12
LEVELS = 30  # a painted CT has many grey levels; an empty viewport has one or two


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with ours(tmp_path_factory.mktemp("bridge")) as target:
        yield target


@pytest.fixture(scope="module")
def seen(
    bridge: Target, dcmtk: Dcmtk, shared_data: Path, ohif_dist: Path, chromium: Path, node: Path, playwright_core: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:  # fmt: skip
    """What the browser saw; screenshots lie in the folder named by `artifacts`."""
    send(generate(tmp_path_factory.mktemp("sample_data")), bridge.host, bridge.port, bridge.ae_title)
    slices = sorted((shared_data / "ct-head-phantom").glob("I*.dcm"), key=lambda path: int(path.stem[1:]))[-SLICES:]
    sent = dcmtk.run("storescu", "-aec", bridge.ae_title, bridge.host, str(bridge.port), *slices)
    assert sent.returncode == 0, sent.stderr
    study = dcmread(slices[0], specific_tags=["StudyInstanceUID", "PatientName"])
    artifacts = tmp_path_factory.mktemp("ohif")
    with viewer.serve(ohif_dist, bridge.url) as address:
        name = str(study.PatientName).split("^")[0]
        script = Path(__file__).with_name("ohif.js")
        run = subprocess.run(
            [node, script, playwright_core, chromium, address, study.StudyInstanceUID, name, artifacts],
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout) | {"artifacts": artifacts, "name": name}


@pytest.mark.timeout(300)
def test_the_work_list_shows_every_study_with_its_names_in_their_alphabets(seen: dict[str, Any]) -> None:
    rows = "\n".join(seen["rows"])
    assert seen["name"] in rows
    for text in ("DEMO-001", "DEMO-004", "Wang, XiaoDong", "头部平扫", "CT 頭部"):
        assert text in rows


def test_the_study_is_painted_on_the_screen(seen: dict[str, Any]) -> None:
    assert seen["painted"]["levels"] >= LEVELS, seen
    assert (seen["artifacts"] / "study.png").stat().st_size > 0


def test_no_request_of_the_viewer_is_refused(seen: dict[str, Any]) -> None:
    assert seen["failed"] == []
    assert seen["problems"] == []
