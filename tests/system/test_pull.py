"""Old archives are taken over by real processes, which are killed in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.process import free_port
from tests.system.objects import data_set_bytes, many
from tests.system.running import RunningBridge, running_bridge, write_config

pytestmark = pytest.mark.server
COUNT, PER_SERIES = 40, 20


@dataclass(frozen=True)
class Site:
    """An old archive with files in it, which knows every new one as BRIDGE on `dimse_port`."""

    old: RunningBridge
    files: list[Path]
    new_port: int


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("old")
    files = many(folder / "files", COUNT, per_series=PER_SERIES)
    new_port = free_port()
    services = ["echo", "find", "get", "move"]
    peers: list[dict[str, object]] = [
        {"name": "new", "ae_title": "BRIDGE", "host": "127.0.0.1", "port": new_port, "services": services}
    ]
    with running_bridge(folder / "bridge", dimse={"ae_title": "OLD", "processes": 1}, peers=peers) as old:
        old.cli("ingest", str(folder / "files"))
        yield Site(old, files, new_port)


def new_archive(site: Site, folder: Path, **peer: object) -> RunningBridge:
    """A bridge, not started, that knows the old one as a peer and as a web destination."""
    folder.mkdir(exist_ok=True)
    old = {"name": "old", "ae_title": "OLD", "host": "127.0.0.1", "port": site.old.dimse_port, **peer}
    web = {"name": "web", "url": site.old.url}
    sections = {"peers": [old], "web_destinations": [web], "pull": {"retry_s": 0.1}}
    bridge = RunningBridge(folder, sections, dimse_port=site.new_port)  # type: ignore[arg-type]
    write_config(bridge)
    return bridge


def stored(bridge: RunningBridge) -> list[bytes]:
    """The data sets that it keeps."""
    return sorted(data_set_bytes(path) for path in (bridge.directory / "data" / "hot").rglob("*.dcm"))


@pytest.mark.parametrize("source", ["old", "web"])
def test_everything_since_a_day_arrives_bit_by_bit(site: Site, tmp_path: Path, source: str) -> None:
    new = new_archive(site, tmp_path / "new")
    done = new.cli("pull", "--from", source, "--since", "2026-03-01", "--until", "2026-03-31")
    assert f"2 studies: 0 instances were archived already, {COUNT} fetched, 0 failures" in done.stdout
    assert stored(new) == sorted(data_set_bytes(path) for path in site.files)
