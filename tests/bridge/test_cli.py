"""The command line as an administrator types it: what it prints, and its exit codes."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.index import migrate, open_index
from storage.index.registry import RefusedPeer
from tests.bridge.archives import part10

REPOSITORY = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `dicom-bridge` with a configuration file of this test; output and exit code come back."""
    config = tmp_path / "bridge.toml"
    config.write_text(f"[storage]\ndirectory = '{tmp_path / 'data'}'\nfree_space_reserve_bytes = 0\n")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments, "--config", str(config)],
            cwd=REPOSITORY,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "400", "HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def test_a_folder_is_imported_and_a_second_time_changes_nothing(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for number in range(1, 4):
        (folder / f"{number}.dcm").write_bytes(part10(number))
    (folder / "notes.txt").write_text("no DICOM")
    first = run("ingest", str(tmp_path / "in"))
    assert first.returncode == 1
    assert "1 refused, 3 stored" in first.stdout
    assert "notes.txt" in first.stdout
    (folder / "notes.txt").unlink()
    again = run("ingest", str(tmp_path / "in"))
    assert (again.returncode, "3 duplicate" in again.stdout) == (0, True)
    assert "1 studies, 1 series, 3 instances" in run("stats").stdout
    assert "3 of 3 objects are intact" in run("scrub").stdout


def test_a_fresh_data_folder_is_closed_to_other_users(run: Run, tmp_path: Path) -> None:
    run("migrate")
    (made,) = {path.parent for path in tmp_path.rglob("index.sqlite")}
    assert stat.S_IMODE(made.stat().st_mode) == 0o750


def test_a_damaged_object_is_named_and_the_exit_code_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(part10(1))
    run("ingest", str(tmp_path / "1.dcm"))
    [stored] = (tmp_path / "data" / "hot" / "objects").rglob("*.dcm")
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    said = run("scrub")
    assert said.returncode == 1
    assert "0 of 1 objects are intact" in said.stdout
    assert stored.name in said.stdout.replace("\n", "")


def test_a_key_is_made_listed_and_revoked(run: Run) -> None:
    made = run("keys", "add", "viewer", "--scope", "read")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("brk_")
    assert "viewer" in run("keys", "list").stdout
    assert made.stdout.strip() not in run("keys", "list").stdout
    assert run("keys", "revoke", "viewer").returncode == 0
    assert run("keys", "revoke", "viewer").returncode == 1


def test_a_refused_caller_comes_with_the_lines_that_would_allow_it(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'index.sqlite'}"
    (tmp_path / "data").mkdir()
    migrate(url)
    index = open_index(url)
    at = datetime.now(UTC)
    index.note_refused(
        RefusedPeer(
            calling_ae_title='CT "1"',
            called_ae_title="BRIDGE",
            address="10.0.0.7",
            reason="not known",
            first_at=at,
            last_at=at,
            times=1,
        )
    )
    index.close()
    said = run("peers", "refused").stdout
    [command] = [line for line in said.splitlines() if "peers add" in line]
    assert shlex.split(command)[2:] == ["add", "ct-1", 'ae_title=CT "1"', "addresses=10.0.0.7"]
    lines = said[said.index("[[peers]]") :]
    [peer] = tomllib.loads("\n".join(line.strip() for line in lines.splitlines()))["peers"]
    assert peer == {"name": "ct-1", "ae_title": 'CT "1"', "addresses": ["10.0.0.7"]}


def test_a_wrong_setting_is_one_sentence_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text("[storage]\nhott = 'local'\n")
    said = run("config", "check")
    assert said.returncode == 2
    assert said.stderr.strip() == "dicom-bridge: unknown setting storage.hott; did you mean storage.hot?"


def test_config_show_tells_where_a_value_came_from(run: Run, tmp_path: Path) -> None:
    said = run("config", "show").stdout
    assert "BRIDGE_STORAGE_DIRECTORY" in said
    assert "bridge.toml" in said


def test_doctor_is_content_with_a_fresh_single_box(run: Run) -> None:
    run("migrate")
    said = run("doctor")
    assert said.returncode == 0, said.stdout
    assert "wrong" not in said.stdout


def test_doctor_before_the_first_start_is_content_and_makes_nothing(run: Run, tmp_path: Path) -> None:
    said = run("doctor")
    assert said.returncode == 0, said.stdout
    assert "there is none yet" in said.stdout
    assert not (tmp_path / "data").exists()


def test_doctor_says_which_store_it_asked_and_where_that_is_set(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "bridge.toml").open("a") as file:
        file.write("hot = 's3'\ns3_endpoint = '127.0.0.1:1'\ns3_bucket = 'images'\ns3_tls = false\n")
    assert "storage.s3_access_key and storage.s3_secret_key must be set" in run("doctor").stdout
    refused = run("serve")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    with (tmp_path / "bridge.toml").open("a") as file:
        file.write("s3_access_key = 'a'\ns3_secret_key = 'b'\n")
    said = run("doctor")
    assert said.returncode == 1
    assert "bucket images at 127.0.0.1:1: the object store cannot be reached" in said.stdout
    assert "look at storage.s3_endpoint" in said.stdout


def test_doctor_never_leaves_exposure_unsaid(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "bridge.toml").open("a") as file:
        file.write("[dimse]\nhost = '0.0.0.0'\n")
    assert "only with known peers" in run("doctor").stdout


def test_doctor_names_an_index_without_schema(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "index.sqlite").touch()
    said = run("doctor")
    assert said.returncode == 1
    assert "dicom-bridge migrate" in said.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("section", "way_out"),
    [("[dimse]\nhost = '0.0.0.0'\n", "allow_any_peer"), ("[http]\nhost = '0.0.0.0'\n", "keys add")],
)
def test_listening_beyond_loopback_without_access_control_is_refused(
    run: Run, tmp_path: Path, section: str, way_out: str
) -> None:
    with (tmp_path / "bridge.toml").open("a") as file:
        file.write(section)
    said = run("serve")
    assert said.returncode == 2
    assert way_out in said.stderr


def test_a_peer_is_added_changed_and_removed(run: Run) -> None:
    assert run("peers", "add", "ct-1", "ae_title=CT01", "addresses=10.0.0.7, 10.1.0.0/16", "port=104").returncode == 0
    assert "there is a peer 'ct-1' already" in run("peers", "add", "ct-1", "ae_title=CT02").stderr
    assert run("peers", "set", "ct-1", "bytes_per_second=1000000", "port=").returncode == 0
    said = run("peers", "list").stdout
    assert "10.0.0.7 10.1.0.0/16" in said
    assert "bytes_per_second=1000000" in said
    assert "port=" not in said
    wrong = run("peers", "set", "ct-1", "colour=red")
    assert (wrong.returncode, "unknown setting peer ct-1.colour" in wrong.stderr) == (2, True)
    assert run("peers", "set", "ct-1", "port").returncode == 2
    assert run("peers", "remove", "ct-1").returncode == 0
    assert "ct-1" not in run("peers", "list").stdout
    assert run("peers", "remove", "ct-1").returncode == 1


def test_a_peer_of_the_file_is_changed_there(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(config.read_text() + "[[peers]]\nname = 'ct-1'\nae_title = 'CT01'\n")
    assert run("migrate").returncode == 0
    for verb in (("set", "ct-1", "port=104"), ("remove", "ct-1")):
        refused = run("peers", *verb)
        assert (refused.returncode, "change it there" in refused.stderr) == (2, True)


def test_a_user_of_a_peer_is_set_and_dropped(run: Run) -> None:
    run("peers", "add", "ct-1", "ae_title=CT01")
    assert run("peers", "user", "ct-1", "alice", "--no-passcode").returncode == 0
    empty = run("peers", "user", "ct-1", "bob")
    assert (empty.returncode, "the passcode is empty" in empty.stderr) == (2, True)
    assert "alice" not in run("peers", "list").stdout
    assert run("peers", "user", "ct-1", "alice", "--drop").returncode == 0


def test_a_peer_that_nobody_knows_cannot_be_tested(run: Run) -> None:
    run("peers", "add", "ct-1", "ae_title=CT01")
    assert "do not know where it listens" in run("peers", "test", "ct-1").stderr
    assert run("peers", "test", "ct-1").returncode == 1
    assert run("peers", "test", "elsewhere").returncode == 1


def test_without_requests_there_are_no_commitments(run: Run) -> None:
    run("peers", "add", "ct-1", "ae_title=CT01")
    assert run("commitments").returncode == 0


def test_a_pull_says_what_it_needs_before_it_calls_anybody(run: Run) -> None:
    unknown = run("pull", "--from", "nobody", "--study", "1.2")
    assert (unknown.returncode, "no web destination named 'nobody'" in unknown.stderr) == (1, True)
    run("peers", "add", "old", "ae_title=OLD", "addresses=127.0.0.1")
    mute = run("pull", "--from", "old", "--study", "1.2")
    assert (mute.returncode, "we do not know where old listens" in mute.stderr) == (2, True)
    run("peers", "set", "old", "port=1")
    for options, why in (
        ([], "say what to pull"),
        (["--since", "soon"], "'soon' is not a date"),
        (["--study", "1.2", "--site", "No Site"], "is not a site"),
    ):
        refused = run("pull", "--from", "old", *options)
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr


def test_a_pull_setting_with_which_nothing_would_come_is_refused(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "bridge.toml").open("a") as config:
        config.write("[pull]\nwindow_days = 0\n[[peers]]\nname = 'old'\nae_title = 'OLD'\n")
    refused = run("pull", "--from", "old", "--since", "2026-01-01")
    assert (refused.returncode, "pull.window_days must be at least 1" in refused.stderr) == (2, True)
