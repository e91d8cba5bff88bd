"""`serve` as root with `supervisor.user`: everything it and the verbs make is that user's; no silent chown."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Dcmtk
from tests.servers.process import wait_until
from tests.system.objects import many
from tests.system.other_user import OTHER, USER, folder_for_all, reachable, skip_unless_root
from tests.system.running import RunningBridge, write_config

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture
def bridge() -> Iterator[RunningBridge]:
    """Configured to run as another user, not started; there is no data folder yet."""
    skip_unless_root()
    with folder_for_all() as folder:
        running = RunningBridge(folder, {"supervisor": {"user": USER}}, through=reachable(folder))
        write_config(running)
        try:
            yield running
        finally:
            running.stop()


def data(bridge: RunningBridge) -> Path:
    return bridge.directory / "data"


def owners(bridge: RunningBridge) -> dict[str, set[str]]:
    """The names of everything in the data folder, itself included, by owner."""
    found: dict[str, set[str]] = {}
    for path in (data(bridge), *data(bridge).rglob("*")):
        found.setdefault(path.owner(), set()).add(str(path.relative_to(data(bridge))))
    return found


def push(dcmtk: Dcmtk, bridge: RunningBridge, *paths: Path) -> int:
    return dcmtk.run("storescu", "127.0.0.1", str(bridge.dimse_port), *paths).returncode


def test_all_that_serve_makes_belongs_to_the_user_of_the_doors(bridge: RunningBridge, dcmtk: Dcmtk) -> None:
    bridge.serve()
    uid = pwd.getpwnam(USER).pw_uid
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in bridge.pids()} == {uid}
    assert push(dcmtk, bridge, *many(bridge.directory / "sent", 3)) == 0
    assert len(bridge.json("/instances")) == 3
    assert stat.S_IMODE(data(bridge).stat().st_mode) == 0o750  # the index has names of patients
    made = owners(bridge)
    assert set(made) == {USER}
    assert {".", "index.sqlite", "index.sqlite.lock", "index.sqlite.turn", "audit.jsonl", "run", "hot"} <= made[USER]


def test_verbs_that_root_types_leave_nothing_of_root_behind(bridge: RunningBridge, dcmtk: Dcmtk) -> None:
    first, second, third = many(bridge.directory / "sent", 3)
    first.chmod(0o600)  # root's own: read as root, kept as the service user's
    bridge.directory.joinpath("sent").chmod(0o700)
    assert "1 stored" in bridge.cli("ingest", str(first)).stdout
    for verb in (("migrate",), ("stats",), ("scrub",), ("peers", "list"), ("config", "show")):
        bridge.cli(*verb)
    assert set(owners(bridge)) == {USER}
    bridge.serve()
    assert "1 stored" in bridge.cli("ingest", str(second)).stdout
    assert "wrong" not in bridge.cli("doctor").stdout
    assert push(dcmtk, bridge, third) == 0
    assert len(bridge.json("/instances")) == 3
    assert set(owners(bridge)) == {USER}
    assert "3 of 3 objects are intact" in bridge.cli("scrub").stdout
    assert '"who":"root"' in (data(bridge) / "audit.jsonl").read_text()
    bridge.stop()
    assert "wrong" not in bridge.cli("doctor").stdout
    bridge.cli("migrate")
    assert set(owners(bridge)) == {USER}


def test_verbs_follow_whoever_ran_the_doors_when_no_user_is_set(bridge: RunningBridge) -> None:
    bridge.serve()
    bridge.stop()
    write_config(replace(bridge, sections={}))
    assert "1 stored" in bridge.cli("ingest", str(many(bridge.directory / "sent", 1)[0])).stdout
    assert set(owners(bridge)) == {USER}


@pytest.mark.parametrize("verb", ["serve", "migrate"])
def test_a_folder_the_user_cannot_write_is_refused_with_the_command(bridge: RunningBridge, verb: str) -> None:
    data(bridge).mkdir()
    refused = bridge.cli(verb, check=False)
    command = f"chown -R {USER}: {data(bridge)}"
    sentence = f"the user {USER} cannot write {data(bridge)}: run `{command}`"
    assert (refused.returncode, refused.stderr.strip()) == (2, f"dicom-bridge: {sentence}")
    assert owners(bridge) == {"root": {"."}}
    subprocess.run(shlex.split(command), check=True, timeout=30)
    bridge.serve()
    assert set(owners(bridge)) == {USER}


@pytest.mark.parametrize("name", ["index.sqlite", "index.sqlite.lock", "audit.jsonl", "run", "hot/staging"])
def test_a_file_in_the_way_is_named_by_doctor_and_at_start(bridge: RunningBridge, name: str) -> None:
    bridge.cli("ingest", str(many(bridge.directory / "sent", 1)[0]))
    (data(bridge) / "run").mkdir(exist_ok=True)
    os.chown(data(bridge) / name, 0, 0)
    examined, refused = bridge.cli("doctor", check=False), bridge.cli("serve", check=False)
    for said, code in ((examined.stdout, examined.returncode), (refused.stderr, refused.returncode)):
        assert code != 0
        assert str(data(bridge) / name) in said
        assert f"chown -R {USER}: {data(bridge)}" in said
    assert (data(bridge) / name).owner() == "root"


def test_doctor_names_an_object_that_root_owns(bridge: RunningBridge) -> None:
    bridge.cli("ingest", str(many(bridge.directory / "sent", 1)[0]))
    [stored] = data(bridge).rglob("*.dcm")
    assert bridge.cli("doctor").returncode == 0
    os.chown(stored, 0, 0)
    examined = bridge.cli("doctor", check=False)
    assert examined.returncode == 1
    assert str(stored) in examined.stdout


def test_doctor_makes_nothing(bridge: RunningBridge) -> None:
    examined = bridge.cli("doctor")
    assert "not there yet" in examined.stdout
    assert not data(bridge).exists()


def test_a_folder_behind_a_closed_one_is_refused(bridge: RunningBridge) -> None:
    data(bridge).mkdir(mode=0o700)
    inner = replace(bridge, sections={**bridge.sections, "storage": {"directory": str(data(bridge) / "inner")}})
    write_config(inner)
    refused = inner.cli("serve", check=False)
    assert refused.returncode == 2
    assert f"may not enter {data(bridge)}" in refused.stderr


def test_a_configuration_the_doors_cannot_read_is_refused(bridge: RunningBridge) -> None:
    bridge.config.chmod(0o600)
    refused = bridge.cli("serve", check=False)
    assert refused.returncode == 2
    assert re.search(rf"as the user {USER}: .*{bridge.config} cannot be read: Permission denied", refused.stderr)


def test_an_unknown_user_and_a_start_without_root_are_one_sentence(bridge: RunningBridge) -> None:
    as_other = replace(bridge, through=(*bridge.through, "setpriv", "--reuid", OTHER, "--clear-groups"))
    refused = as_other.cli("serve", check=False)
    assert refused.returncode == 2
    assert f"cannot become the user {USER}" in refused.stderr
    write_config(replace(bridge, sections={"supervisor": {"user": "no-such-user"}}))
    refused = bridge.cli("serve", check=False)
    assert refused.returncode == 2
    assert "this machine has no user 'no-such-user'" in refused.stderr


def test_no_child_outlives_a_killed_supervisor_of_another_user(bridge: RunningBridge) -> None:
    bridge.serve()
    assert bridge.process is not None
    os.kill(bridge.process.pid, signal.SIGKILL)
    wait_until(lambda: not bridge.pids(), what="every child having ended")
