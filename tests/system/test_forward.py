"""A study that was pushed to one bridge reaches others by rule, through a cut link, and all hold equal bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Dcmtk
from tests.servers.process import free_port, wait_until
from tests.system.objects import ct_slices, data_set_bytes, uids
from tests.system.running import RunningBridge, running_bridge

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
SLICES = 20
QUICK = {"quiet_s": 1.0, "interval_s": 0.2, "retry_s": 0.5, "retry_max_s": 1.0, "progress_instances": 3}


@pytest.fixture
def region(tmp_path: Path) -> Iterator[RunningBridge]:
    """Takes by C-STORE."""
    with running_bridge(tmp_path / "region") as running:
        yield running


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[RunningBridge]:
    """Takes by STOW-RS."""
    with running_bridge(tmp_path / "partner") as running:
        yield running


@pytest.fixture
def hospital(tmp_path: Path, region: RunningBridge, partner: RunningBridge) -> Iterator[RunningBridge]:
    """Sends every CT to the other two."""
    peer = {"name": "region", "ae_title": "BRIDGE", "host": "127.0.0.1", "port": region.dimse_port}
    caller = {"name": "ct", "ae_title": "STORESCU"}
    with running_bridge(
        tmp_path / "hospital",
        forwarding=QUICK,
        peers=[peer, caller],
        web_destinations=[{"name": "partner", "url": partner.url}],
        forward_rules=[{"name": "heads", "to": ["region", "partner"], "modalities": ["CT"]}],
    ) as running:
        yield running


def has_everything(bridge: RunningBridge, count: int) -> bool:
    return len(bridge.json("/instances?limit=1000")) == count


def check_bytes(bridge: RunningBridge, files: list[Path]) -> None:
    for path, (study, series, instance, _) in zip(files, uids(files), strict=True):
        status, body = bridge.get(
            f"/dicom-web/studies/{study}/series/{series}/instances/{instance}",
            {"Accept": "application/dicom; transfer-syntax=*"},
        )
        sent = data_set_bytes(path)
        assert (status, body[-len(sent) :] == sent) == (200, True)


def test_a_finished_study_reaches_two_others_through_a_cut_link(
    hospital: RunningBridge, region: RunningBridge, partner: RunningBridge, dcmtk: Dcmtk, shared_data: Path
) -> None:
    files = ct_slices(shared_data)[:SLICES]
    region.kill_everything()
    partner.kill_everything()
    assert dcmtk.run("storescu", "127.0.0.1", str(hospital.dimse_port), *files).returncode == 0
    wait_until(lambda: "connection" in _problems(hospital), timeout_s=60, what="an order that could not be sent")
    region.start()
    wait_until(lambda: len(region.json("/instances")) > 0, timeout_s=60, what="the first instances arriving")
    region.kill_everything()
    region.start()
    partner.start()
    for far in (region, partner):
        wait_until(lambda far=far: has_everything(far, SLICES), timeout_s=120, what="the whole study arriving")  # type: ignore[misc]
        check_bytes(far, files)
    check_bytes(hospital, files)
    wait_until(lambda: hospital.cli("forward", "status").returncode == 0, timeout_s=30, what="the orders being done")


def _problems(bridge: RunningBridge) -> str:
    return bridge.log().lower()


def test_what_a_destination_refuses_is_shown_and_sent_again_on_demand(
    tmp_path: Path, dcmtk: Dcmtk, shared_data: Path
) -> None:
    [file] = ct_slices(shared_data)[:1]
    port = free_port()
    far_peers = [{"name": "hospital", "ae_title": "BRIDGE", "sop_classes": ["1.2.840.10008.5.1.4.1.1.4"]}]
    with running_bridge(tmp_path / "far", peers=far_peers) as far:
        peers = [
            {"name": "far", "ae_title": "BRIDGE", "host": "127.0.0.1", "port": far.dimse_port},
            {"name": "ct", "ae_title": "STORESCU"},
            {"name": "nobody", "ae_title": "NOBODY", "host": "127.0.0.1", "port": port},
        ]
        rules = [{"name": "all", "to": ["far"]}]
        with running_bridge(tmp_path / "near", forwarding=QUICK, peers=peers, forward_rules=rules) as near:
            assert dcmtk.run("storescu", "127.0.0.1", str(near.dimse_port), file).returncode == 0
            wait_until(
                lambda: near.cli("forward", "status", check=False).returncode == 1,
                timeout_s=60, what="an order being dead",
            )  # fmt: skip
            far.stop()
            far.sections["peers"] = [{"name": "hospital", "ae_title": "BRIDGE"}]
            far.start()
            assert "1 orders wait again" in near.cli("forward", "retry").stdout
            wait_until(lambda: has_everything(far, 1), timeout_s=60, what="the instance arriving")
            check_bytes(far, [file])
