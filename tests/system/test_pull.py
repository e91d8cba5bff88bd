"""Old archives are taken over by real processes, which are killed in between."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Dcmtk
from tests.servers.process import ServerProcess, free_port, wait_until
from tests.system.objects import ROOT, data_set_bytes, many
from tests.system.old_archives import dcmqrscp, qrscp
from tests.system.running import RunningBridge, Section, running_bridge, write_config

pytestmark = pytest.mark.server
Archive = Callable[[Dcmtk, Path, list[Path], int], AbstractContextManager[int]]
COUNT, PER_SERIES = 120, 60
SINCE = ("--since", "2026-03-01", "--until", "2026-03-31")


@dataclass(frozen=True)
class Site:
    """An old archive with files in it, which knows every new one as BRIDGE on `dimse_port`."""

    old: RunningBridge
    files: list[Path]
    new_port: int


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("old")
    files = many(folder / "files", COUNT, per_series=PER_SERIES, pixels=256)
    new_port = free_port()
    services = ["echo", "find", "get", "move"]
    peers: list[dict[str, object]] = [
        {"name": "new", "ae_title": "BRIDGE", "host": "127.0.0.1", "port": new_port, "services": services}
    ]
    with running_bridge(folder / "bridge", dimse={"ae_title": "OLD", "processes": 1}, peers=peers) as old:
        old.cli("ingest", str(folder / "files"))
        yield Site(old, files, new_port)


def new_archive(site: Site, folder: Path, *, old_port: int = 0) -> RunningBridge:
    """A bridge, not started, that knows the old one as a peer and as a web destination."""
    folder.mkdir(exist_ok=True)
    old = {"name": "old", "ae_title": "OLD", "host": "127.0.0.1", "port": old_port or site.old.dimse_port}
    sections: dict[str, Section] = {
        "peers": [old],
        "web_destinations": [{"name": "web", "url": site.old.url}],
        "pull": {"retry_s": 0.1, "attempts": 2},
    }
    bridge = RunningBridge(folder, sections, dimse_port=site.new_port)
    write_config(bridge)
    return bridge


def stored(bridge: RunningBridge) -> list[bytes]:
    """The data sets that it keeps."""
    return sorted(data_set_bytes(path) for path in (bridge.directory / "data" / "hot").rglob("*.dcm"))


def outcomes(bridge: RunningBridge) -> Counter[str]:
    """What became of everything that came in, by the audit trail."""
    lines = (bridge.directory / "data" / "audit.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return Counter(record["outcome"] for record in records if record["action"] == "ingest")


@pytest.mark.parametrize("source", ["old", "web"])
def test_everything_since_a_day_arrives_bit_by_bit(site: Site, tmp_path: Path, source: str) -> None:
    new = new_archive(site, tmp_path / "new")
    done = new.cli("pull", "--from", source, *SINCE)
    assert f"2 studies: 0 instances were archived already, {COUNT} fetched, 0 failures" in done.stdout
    assert stored(new) == sorted(data_set_bytes(path) for path in site.files)
    again = new.cli("pull", "--from", source, "--patient", "P1", "--thorough", "--modality", "CT")
    assert f"2 studies: {COUNT} instances were archived already, 0 fetched, 0 failures" in again.stdout


@pytest.mark.parametrize("source", ["old", "web"])
def test_a_pull_that_is_killed_goes_on_where_it_was(site: Site, tmp_path: Path, source: str) -> None:
    new = new_archive(site, tmp_path / "new")
    command = ["pull", "--from", source, "--parallel", "1", *SINCE, "--config", str(new.config)]
    with ServerProcess([sys.executable, "-m", "bridge", *command], tmp_path / "log") as running:
        wait_until(lambda: len(stored(new)) >= COUNT // 10, what="a tenth being here")
        running.kill()
    assert len(stored(new)) < COUNT
    new.cli("pull", "--from", source, *SINCE)
    assert outcomes(new)["duplicate"] == 0
    assert new.cli("pull", "--from", source, *SINCE, "--thorough").stdout.count(f"{COUNT} instances were archived") == 1
    assert set(stored(new)) == {data_set_bytes(path) for path in site.files}


def test_ctrl_c_is_no_crash(site: Site, tmp_path: Path) -> None:
    new = new_archive(site, tmp_path / "new")
    command = ["pull", "--from", "web", "--parallel", "1", *SINCE, "--config", str(new.config)]
    with ServerProcess([sys.executable, "-m", "bridge", *command], tmp_path / "log") as running:
        wait_until(lambda: len(stored(new)) >= COUNT // 10, what="a tenth being here")
        os.kill(running.pid, signal.SIGINT)
        wait_until(lambda: "the same command goes on from here" in running.tail(), what="the last words")
    assert "Traceback" not in running.tail()
    assert outcomes(new)["stored"] < COUNT


def test_by_c_move_the_running_archive_receives(site: Site, tmp_path: Path) -> None:
    new = new_archive(site, tmp_path / "new")
    new.start()
    try:
        done = new.cli("pull", "--from", "old", "--by", "move", *SINCE)
    finally:
        new.stop()
    assert f"{COUNT} fetched, 0 failures" in done.stdout
    assert stored(new) == sorted(data_set_bytes(path) for path in site.files)


def test_a_dry_run_lists_and_fetches_nothing(site: Site, tmp_path: Path) -> None:
    new = new_archive(site, tmp_path / "new")
    done = new.cli("pull", "--from", "old", "--study", f"{ROOT}.0", "--dry-run")
    assert f"{ROOT}.0" in done.stdout
    assert f"1 studies: 0 instances were archived already, {PER_SERIES} to fetch" in done.stdout
    assert stored(new) == []


def test_an_archive_that_is_away_is_said_with_exit_code_1(site: Site, tmp_path: Path) -> None:
    new = new_archive(site, tmp_path / "new", old_port=free_port())
    done = new.cli("pull", "--from", "old", "--patient", "P1", check=False)
    assert done.returncode == 1
    assert "nobody listens" in done.stderr


@pytest.mark.parametrize("by", ["get", "move"])
@pytest.mark.parametrize("archive", [dcmqrscp, qrscp])
def test_other_peoples_archives_are_emptied_bit_by_bit(
    site: Site, dcmtk: Dcmtk, tmp_path: Path, archive: Archive, by: str
) -> None:
    files = site.files[PER_SERIES - 15 : PER_SERIES + 15]
    with archive(dcmtk, tmp_path / "old", files, site.new_port) as port:
        new = new_archive(site, tmp_path / "new", old_port=port)
        new.start()
        try:
            first = site.files[PER_SERIES - 15]
            new.cli("ingest", str(first))
            done = new.cli("pull", "--from", "old", "--by", by, *SINCE, check=False)
        finally:
            new.stop()
    assert (done.returncode, "2 studies: 1 instances were archived already, 29 fetched" in done.stdout) == (0, True), (
        done.stdout + done.stderr
    )
    assert stored(new) == sorted(data_set_bytes(path) for path in files)
    assert outcomes(new) == {"stored": 30}
