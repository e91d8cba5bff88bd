"""Fixtures that every room's tests share. A server that is not installed is an error, never a skip."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from tests.servers import object_stores
from tests.servers.install import locate
from tests.servers.object_stores import S3Server
from tests.servers.postgres import fresh_database as make_database
from tests.servers.postgres import postgres

REPOSITORY = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile("gate", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis.settings.load_profile("gate" if os.environ.get("CI") else "explore")


@dataclass(frozen=True, slots=True)
class Dcmtk:
    """DCMTK's tools, never pynetdicom's namesakes."""

    folder: Path

    def path(self, tool: str) -> str:
        """The full path of storescu, echoscu, findscu, movescu, getscu, storescp, dcm2json, dcmdump, ..."""
        path = self.folder / tool
        if not path.is_file():
            raise FileNotFoundError(f"DCMTK has no {tool}")
        return str(path)

    def run(self, tool: str, *arguments: str | Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a tool to its end; its output comes back as text, its exit code is the caller's business."""
        return subprocess.run(
            [self.path(tool), *map(str, arguments)],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files (`ct-head-phantom/`, `variety/`) that lies beside the clone."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.fail(f"the test data is missing: no folder {path}")
    return path


@pytest.fixture(scope="session")
def minio_server() -> Iterator[S3Server]:
    """A MinIO, started at first use."""
    with object_stores.minio() as server:
        yield server


@pytest.fixture(scope="session")
def versitygw_server() -> Iterator[S3Server]:
    """A Versity gateway, started at first use."""
    with object_stores.versitygw() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server's administrative database, `postgresql://user@127.0.0.1:port/postgres`; leave it empty."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="module")
def fresh_database(postgres_url: str) -> str:
    """The url of an empty database for one module; `tests.servers.postgres.fresh_database(url)` makes more."""
    return make_database(postgres_url)


@pytest.fixture(scope="session")
def dcmtk() -> Dcmtk:
    """DCMTK's tools."""
    return Dcmtk(locate("dcmtk").parent)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's executable."""
    return locate("chromium")


@pytest.fixture(scope="session")
def ohif_dist() -> Path:
    """The built OHIF viewer's folder, with index.html in it."""
    return locate("ohif")


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node.js executable."""
    return locate("node")


@pytest.fixture(scope="session")
def playwright_core() -> Path:
    """The folder of the playwright-core package: `require(<this>)` in a Node.js script; it drives `chromium`."""
    return locate("playwright")


@pytest.fixture(scope="session")
def viewer_modules() -> Path:
    """The `node_modules` folder of the viewers that `tests/browser/viewers/package.json` names."""
    return locate("viewers")


@pytest.fixture(scope="session")
def ffmpeg() -> Path:
    """The ffmpeg program, to make videos with."""
    return locate("ffmpeg")
