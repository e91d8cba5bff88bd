"""A modality that deletes its images after N-EVENT-REPORT never loses one, whatever is killed (E15; PS3.4 Annex J)."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.servers import object_stores
from tests.servers.object_stores import S3Server
from tests.servers.process import ServerProcess, free_port, wait_until
from tests.system.modality import AE_TITLE
from tests.system.objects import data_set_bytes, many, uids
from tests.system.running import RunningBridge, on_s3, running_bridge
from tests.system.test_kill import kill_at_random

pytestmark = [pytest.mark.server, pytest.mark.timeout(1200)]
GATE_SEEDS = (1, 2)
SOAK_SEEDS = tuple(range(200, 220))
IMAGES = 160
PATIENCE_S = 600.0


@pytest.fixture
def store() -> Iterator[S3Server]:
    """A MinIO of this test's own, to be hurt."""
    with object_stores.minio() as server:
        yield server


@contextmanager
def modality(bridge: RunningBridge, folder: Path, own_port: int) -> Iterator[ServerProcess]:
    """The modality at work."""
    arguments = [str(bridge.dimse_port), str(own_port), str(folder)]
    command = [sys.executable, "-m", "tests.system.modality", *arguments]
    environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    with ServerProcess(command, bridge.directory / "modality.log", environment=environment) as process:
        yield process


def hurt(bridge: RunningBridge, store: ServerProcess, chance: random.Random) -> ServerProcess:
    """Kill a process of the bridge, or all of it, or stop the object store for a while; returns the store's process."""
    if chance.random() < 0.6:
        kill_at_random(bridge, chance)
        return store
    store.kill()
    time.sleep(chance.uniform(0.5, 4.0))
    if chance.random() < 0.5:
        kill_at_random(bridge, chance)
    return store.again()


def survive(tmp_path: Path, store: S3Server, seed: int, *, rounds: int) -> None:
    """Hurt the bridge while the modality frees its disk; then look for every image."""
    chance = random.Random(seed)
    originals = many(tmp_path / "originals", IMAGES)
    copies = tmp_path / "copies"
    shutil.copytree(tmp_path / "originals", copies)
    own_port = free_port()
    sections: dict[str, dict[str, object]] = {
        "storage": on_s3(store, put_deadline_s=1.0, s3_read_timeout_s=3.0, breaker_probe_s=0.5),
        "commitment": {"recheck_s": 0.3, "retry_s": 0.5, "retry_max_s": 2.0, "attempts": 1000},
        "sender": {"claim_s": 4.0, "interval_s": 0.2},
        "[peers]": {"name": "simulator", "ae_title": AE_TITLE, "host": "127.0.0.1", "port": own_port},
    }
    again = [store.process]
    with running_bridge(tmp_path / "bridge", **sections) as bridge, modality(bridge, copies, own_port):
        try:
            for _ in range(rounds):
                left = len(list(copies.iterdir()))
                again.append(hurt(bridge, again[-1], chance))
                wait_for_less(copies, left)  # so that the blows hit every stage of the way
            wait_for_less(copies, 1)
            check_every_image(bridge, originals)
        finally:
            for process in again[1:]:
                process.stop()


def wait_for_less(copies: Path, count: int) -> None:
    """Wait until the modality has fewer files than that, or none."""

    def freed() -> bool:
        return len(list(copies.iterdir())) < max(count, 1)

    wait_until(freed, timeout_s=PATIENCE_S, what="the modality freeing its disk")


def check_every_image(bridge: RunningBridge, originals: list[Path]) -> None:
    """Each is retrieved with the bytes that were sent."""
    for path, (study, series, instance, _) in zip(originals, uids(originals), strict=True):
        where = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        sent = data_set_bytes(path)
        body = retrieved(bridge, where)
        assert body[-len(sent) :] == sent


def retrieved(bridge: RunningBridge, path: str) -> bytes:
    """The object; what was killed last may take a while to come back (503, or nobody listens)."""
    answers: list[tuple[int, bytes]] = []

    def answered() -> bool:
        answers.append(bridge.get(path, {"Accept": "application/dicom; transfer-syntax=*"}))
        return answers[-1][0] not in (0, 503)

    wait_until(answered, timeout_s=60, what=f"an answer for {path}")
    status, body = answers[-1]
    assert status == 200, (path, status)
    return body


@pytest.mark.parametrize("seed", GATE_SEEDS)
def test_a_modality_that_deletes_after_the_report_loses_nothing(tmp_path: Path, store: S3Server, seed: int) -> None:
    survive(tmp_path, store, seed, rounds=3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_twenty_rounds_of_commitment_lose_nothing(tmp_path: Path, store: S3Server, seed: int) -> None:
    survive(tmp_path, store, seed, rounds=4)
