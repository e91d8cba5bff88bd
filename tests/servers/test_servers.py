"""The servers are real, do what the archive's tests rely on, and end when the tests end."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.error import S3Error
from minio.retention import Retention

from tests.conftest import Dcmtk
from tests.servers.object_stores import S3Server
from tests.servers.postgres import fresh_database
from tests.servers.process import ServerProcess, wait_until

BROWSE = """
const { chromium } = require(process.argv[1]);
(async () => {
  const browser = await chromium.launch({ executablePath: process.argv[2], args: process.argv.slice(3) });
  const page = await browser.newPage();
  await page.setContent('<p id=p></p><script>p.textContent = 6 * 7</script>');
  console.log(await page.textContent('#p'));
  await browser.close();
})();
"""
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.mark.parametrize("name", ["minio_server", "versitygw_server"])
def test_an_object_store_refuses_to_delete_a_locked_version(name: str, request: pytest.FixtureRequest) -> None:
    server: S3Server = request.getfixturevalue(name)
    client = Minio(server.endpoint, access_key=server.access_key, secret_key=server.secret_key, secure=False)
    bucket = server.new_bucket_name()
    client.make_bucket(bucket, object_lock=True)
    until = Retention(GOVERNANCE, datetime.now(UTC) + timedelta(days=1))
    written = client.put_object(bucket, "a/b", io.BytesIO(b"x"), 1, retention=until)
    assert written.version_id
    with pytest.raises(S3Error):
        client.remove_object(bucket, "a/b", version_id=written.version_id)


def test_each_fresh_database_is_empty_and_its_own(postgres_url: str) -> None:
    first, second = fresh_database(postgres_url), fresh_database(postgres_url)
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE t ()")
    with psycopg.connect(second) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert found == (0,)


def test_the_dicom_tools_are_those_of_dcmtk(dcmtk: Dcmtk) -> None:
    for tool in ("storescu", "echoscu", "findscu", "movescu", "getscu", "storescp", "dcm2json", "dcmdump"):
        assert "dcmtk" in dcmtk.run(tool, "--version").stdout


def test_the_viewer_is_built(ohif_dist: Path) -> None:
    assert "<script" in (ohif_dist / "index.html").read_text()


def test_the_browser_runs_a_page(node: Path, playwright_core: Path, chromium: Path) -> None:
    command = [str(node), "-e", BROWSE, str(playwright_core), str(chromium), *CHROMIUM_FLAGS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "42\n", done.stderr


def test_the_real_images_are_beside_the_clone(shared_data: Path) -> None:
    assert len(list((shared_data / "ct-head-phantom").glob("*.dcm"))) == 60


def test_a_server_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    with ServerProcess(["sh", "-c", "sleep 300 & echo $!; wait"], tmp_path / "log") as process:
        process.wait_ready(lambda: bool(process.tail()))
        child = int(process.tail())
    wait_until(lambda: not _alive(child), what="the server's child ending")


def test_a_server_dies_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, signal, sys; from tests.servers.process import ServerProcess\n"
        "server = ServerProcess(['sleep', '300'], pathlib.Path(sys.argv[1]))\n"
        "server.wait_ready(lambda: pathlib.Path(f'/proc/{server.pid}/comm').read_text() == 'sleep\\n')\n"
        "print(server.pid, flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout
        server = int(owner.stdout.readline())
        assert _alive(server)
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not _alive(server), what="the server ending")


def test_a_server_that_fails_to_start_says_why(tmp_path: Path) -> None:
    process = ServerProcess(["sh", "-c", "echo no disk; exit 3"], tmp_path / "log")
    with process, pytest.raises(RuntimeError, match=r"ended with 3:\nno disk"):
        process.wait_ready(lambda: False)


def _alive(pid: int) -> bool:
    """Running: a zombie has ended, it only waits for init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
