"""Orthanc 1.13 beside us, as a destination and as a client (needs root: debootstrap puts it into a folder)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from bench import rival
from bench.target import Target
from tests.conftest import Dcmtk
from tests.servers.process import free_port, wait_until
from tests.system.objects import ct_slices
from tests.system.running import RunningBridge, running_bridge
from tests.system.test_forward import QUICK, check_bytes, has_everything

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the rival is stopped by its pid
]
SLICES = 20
DATA = "beside-us"


class Orthanc:
    """A running Orthanc and its REST API; `restart` keeps its data and ports."""

    def __init__(self) -> None:
        self.ports = (free_port(), free_port())
        self.target: Target = rival.start(data=DATA, fresh=True, ports=self.ports)

    def restart(self) -> None:
        self.target = rival.start(data=DATA, ports=self.ports)

    def stop(self) -> None:
        rival.stop(self.target.pid or 0)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, (path, answer.status, text[:300])
            return json.loads(text) if text else None
        finally:
            connection.close()

    def data_sets(self) -> dict[str, bytes]:
        """SOP Instance UID -> pixel data of everything it holds."""
        found = {}
        for number in self.ask("GET", "/instances"):
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=60)
            connection.request("GET", f"/instances/{number}/file")
            read = pydicom.dcmread(pydicom.filebase.DicomBytesIO(connection.getresponse().read()))
            connection.close()
            found[str(read.SOPInstanceUID)] = bytes(read.PixelData)
        return found


@pytest.fixture
def orthanc() -> Iterator[Orthanc]:
    made = Orthanc()
    yield made
    made.stop()


def pixels(files: list[Path]) -> dict[str, bytes]:
    return {str((read := pydicom.dcmread(path)).SOPInstanceUID): bytes(read.PixelData) for path in files}


def known(bridge: RunningBridge, orthanc: Orthanc) -> None:
    """Tell Orthanc where the bridge is."""
    orthanc.ask("PUT", "/modalities/bridge", {"AET": "BRIDGE", "Host": "127.0.0.1", "Port": bridge.dimse_port})


def test_a_study_reaches_a_bridge_and_an_orthanc_through_a_cut_link(
    orthanc: Orthanc, tmp_path: Path, dcmtk: Dcmtk, shared_data: Path
) -> None:
    files = ct_slices(shared_data)[:SLICES]
    with running_bridge(tmp_path / "region") as region:
        peers = [
            {"name": "region", "ae_title": "BRIDGE", "host": "127.0.0.1", "port": region.dimse_port},
            {"name": "orthanc", "ae_title": rival.AE_TITLE, "host": "127.0.0.1", "port": orthanc.ports[1]},
            {"name": "ct", "ae_title": "STORESCU"},
        ]
        rules = [{"name": "all", "to": ["region", "orthanc"]}]
        orthanc.stop()
        region.kill_everything()
        with running_bridge(tmp_path / "hospital", forwarding=QUICK, peers=peers, forward_rules=rules) as hospital:
            assert dcmtk.run("storescu", "127.0.0.1", str(hospital.dimse_port), *files).returncode == 0
            wait_until(lambda: "cannot be reached" in hospital.log(), timeout_s=60, what="an order that waits")
            orthanc.restart()
            region.start()
            wait_until(lambda: has_everything(region, SLICES), timeout_s=120, what="the region having everything")
            wait_until(
                lambda: len(orthanc.ask("GET", "/instances")) == SLICES, timeout_s=120, what="Orthanc having all"
            )
            check_bytes(region, files)
            check_bytes(hospital, files)
            assert orthanc.data_sets() == pixels(files)


def test_orthanc_is_a_client_of_ours(orthanc: Orthanc, tmp_path: Path, dcmtk: Dcmtk, shared_data: Path) -> None:
    files = ct_slices(shared_data)[:SLICES]
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    sink = {"name": "orthanc", "ae_title": rival.AE_TITLE, "host": "127.0.0.1", "port": orthanc.ports[1],
            "services": ["echo", "store", "find", "get", "move"]}  # fmt: skip
    with running_bridge(tmp_path / "bridge", peers=[sink, {"name": "ct", "ae_title": "STORESCU"}]) as bridge:
        known(bridge, orthanc)
        assert dcmtk.run("storescu", "127.0.0.1", str(bridge.dimse_port), *files).returncode == 0
        orthanc.ask("POST", "/modalities/bridge/echo", {})
        query = {"Level": "Study", "Query": {"StudyInstanceUID": study}}
        found = orthanc.ask("POST", "/modalities/bridge/query", query)["ID"]
        assert orthanc.ask("GET", f"/queries/{found}/answers") == ["0"]
        orthanc.ask("POST", f"/queries/{found}/retrieve", {"TargetAet": rival.AE_TITLE})  # C-MOVE to itself
        assert orthanc.data_sets() == pixels(files)
        [number] = orthanc.ask("GET", "/studies")
        with running_bridge(tmp_path / "second") as second:
            known(second, orthanc)
            orthanc.ask("POST", "/modalities/bridge/store", number)
            assert has_everything(second, SLICES)
