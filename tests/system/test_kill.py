"""kill -9 of any process at any moment: every acknowledged instance is there, whole; nothing half-visible."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Dcmtk
from tests.servers.object_stores import S3Server
from tests.servers.process import wait_until
from tests.system.objects import data_set_bytes, many
from tests.system.running import RunningBridge, on_s3, running_bridge
from tests.system.sender import Sender

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(1200),
]
GATE_SEEDS = (1, 2, 3)
SOAK_SEEDS = tuple(range(100, 120))


def check_everything(bridge: RunningBridge, sender: Sender, files: dict[str, Path]) -> None:
    """Every acknowledged instance is found and equals what was sent; every visible one is whole."""
    acknowledged = set(sender.acknowledged)
    visible = {}
    offset = 0
    while page := bridge.json(f"/instances?limit=1000&offset={offset}"):
        offset += len(page)
        for item in page:
            uid = item["00080018"]["Value"][0]  # type: ignore[index]
            visible[uid] = "/".join(
                f"{name}/{item[tag]['Value'][0]}"  # type: ignore[index]
                for name, tag in (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018"))
            )
    assert acknowledged <= set(visible), f"{len(acknowledged - set(visible))} acknowledged instances are gone"
    assert set(visible) <= set(files)
    for uid, path in visible.items():
        status, body = bridge.get(f"/dicom-web/{path}", {"Accept": "application/dicom; transfer-syntax=*"})
        assert status == 200
        sent = data_set_bytes(files[uid])
        assert body[-len(sent) :] == sent
    check_counters(bridge)


def check_counters(bridge: RunningBridge) -> None:
    """The studies' counters agree with their instances."""
    for study in bridge.json("/studies?limit=1000"):
        uid = study["0020000D"]["Value"][0]  # type: ignore[index]
        counted = study["00201208"]["Value"][0]  # type: ignore[index]
        assert counted == len(bridge.json(f"/studies/{uid}/instances?limit=5000"))


def kill_at_random(bridge: RunningBridge, chance: random.Random) -> None:
    """One child, which the supervisor starts again, or everything at once, and a restart."""
    time.sleep(chance.uniform(0.2, 1.5))
    if chance.random() < 0.5:
        victims = [pid for pid in bridge.pids() if bridge.process is not None and pid != bridge.process.pid]
        os.kill(chance.choice(victims), signal.SIGKILL)
        wait_until(bridge.is_ready, timeout_s=60, what="the bridge being ready again")
    else:
        bridge.kill_everything()
        bridge.start()


def survive(bridge: RunningBridge, tmp_path: Path, seed: int, *, count: int, kills: int) -> None:
    chance = random.Random(seed)
    paths = many(tmp_path / "sent", count)
    files = {f"{_series(path)}.{int(path.stem)}": path for path in paths}
    with Sender(bridge.dimse_port, paths) as sender:
        for _ in range(kills):
            kill_at_random(bridge, chance)
        sender.wait(600)
    assert len(sender.acknowledged) == count
    check_everything(bridge, sender, files)
    assert f"{count} of {count} objects are intact" in bridge.cli("scrub").stdout


def _series(path: Path) -> str:
    return f"1.2.826.0.1.3680043.10.9.{(int(path.stem) - 1) // 50}.1"


@pytest.mark.parametrize("seed", GATE_SEEDS)
def test_no_acknowledged_instance_is_lost_when_processes_are_killed(tmp_path: Path, seed: int) -> None:
    with running_bridge(tmp_path) as bridge:
        survive(bridge, tmp_path, seed, count=600, kills=3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_twenty_rounds_of_killing_lose_nothing(tmp_path: Path, seed: int, minio_server: S3Server) -> None:
    sections = {"storage": on_s3(minio_server)} if seed % 2 else {}
    with running_bridge(tmp_path, **sections) as bridge:
        survive(bridge, tmp_path, seed, count=3000, kills=6)


def test_a_rebuild_from_the_store_alone_gives_the_same_archive(tmp_path: Path, dcmtk: Dcmtk) -> None:
    with running_bridge(tmp_path) as bridge:
        paths = many(tmp_path / "sent", 60)
        assert dcmtk.run("storescu", "127.0.0.1", str(bridge.dimse_port), *paths).returncode == 0
        studies, instances = bridge.json("/studies"), bridge.json("/instances")
        bridge.stop()
        for leftover in (tmp_path / "data").glob("index.sqlite*"):
            leftover.unlink()
        said = bridge.cli("scrub", "--rebuild").stdout
        assert "60 instances from 60 objects" in said
        bridge.start()
        assert bridge.json("/studies") == studies
        assert bridge.json("/instances") == instances
