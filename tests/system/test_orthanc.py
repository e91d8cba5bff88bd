"""Orthanc as a client: it echoes, queries, has a study moved to it, and sends it back. As root: the bench's rival."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import rival
from tests.bridge.archives import SERIES, STUDY, part10
from tests.conftest import Dcmtk
from tests.servers.process import free_port
from tests.system.running import RunningBridge, running_bridge

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),  # it is ended by its id
]


class Orthanc:
    """Its REST interface; it knows our door as the modality `sink`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """JSON there and back; the answer is a success."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, (path, answer.status, text)
            return json.loads(text or b"{}")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def both(dcmtk: Dcmtk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningBridge, Orthanc]]:
    folder = tmp_path_factory.mktemp("site")
    http_port, dicom_port = free_port(), free_port()
    peers: list[dict[str, object]] = [
        {
            "name": "orthanc", "ae_title": rival.AE_TITLE, "host": "127.0.0.1", "port": dicom_port,
            "services": ["echo", "store", "find", "move", "get"],
        }
    ]  # fmt: skip
    with running_bridge(folder / "bridge", dimse={"allow_any_peer": True}, peers=peers) as bridge:
        (folder / "files").mkdir()
        for number in (1, 2, 3):
            (folder / "files" / f"{number}.dcm").write_bytes(part10(number))
        done = dcmtk.run("storescu", "+sd", "127.0.0.1", str(bridge.dimse_port), folder / "files")
        assert done.returncode == 0, done.stderr
        started = rival.start(data="client", fresh=True, ports=(http_port, dicom_port), sink_port=bridge.dimse_port)
        try:
            yield bridge, Orthanc(http_port)
        finally:
            rival.stop(started.pid or 0)


def test_orthanc_queries_and_retrieves_and_sends_back(both: tuple[RunningBridge, Orthanc], tmp_path: Path) -> None:
    bridge, orthanc = both
    orthanc.ask("POST", "/modalities/sink/echo", {})
    query = orthanc.ask(
        "POST", "/modalities/sink/query", {"Level": "Study", "Query": {"PatientName": "Zhang*", "StudyInstanceUID": ""}}
    )
    assert orthanc.ask("GET", f"{query['Path']}/answers") == ["0"]
    found = orthanc.ask("GET", f"{query['Path']}/answers/0/content?simplify")
    assert found["StudyInstanceUID"] == STUDY
    orthanc.ask("POST", f"{query['Path']}/retrieve", {"TargetAet": rival.AE_TITLE, "Synchronous": True})
    instances = orthanc.ask("GET", "/instances")
    assert len(instances) == 3
    uids = {orthanc.ask("GET", f"/instances/{one}/simplified-tags")["SOPInstanceUID"] for one in instances}
    assert uids == {f"{SERIES}.{number}" for number in (1, 2, 3)}
    sent = orthanc.ask("POST", "/modalities/sink/store", {"Resources": instances, "Synchronous": True})
    assert sent["FailedInstancesCount"] == 0
    assert len(bridge.json(f"/studies/{STUDY}/instances")) == 3  # the very same ones: duplicates
