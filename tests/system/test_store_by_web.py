"""STOW-RS to real processes: a power cut in the middle of a message leaves whole instances only (DICOM.md T16)."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.dicomweb.storing import RELATED, message
from tests.servers.process import wait_until
from tests.system.objects import many
from tests.system.running import RunningBridge, running_bridge
from tests.system.test_kill import check_everything

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
COUNT = 100


def post(bridge: RunningBridge, body: bytes) -> int:
    """The status of a POST of a whole message."""
    connection = http.client.HTTPConnection("127.0.0.1", bridge.http_port, timeout=120)
    try:
        connection.request("POST", "/dicom-web/studies", body, {"Content-Type": RELATED})
        return connection.getresponse().status
    finally:
        connection.close()


def test_t16_a_power_cut_in_the_middle_of_a_message_leaves_whole_instances_only(tmp_path: Path) -> None:
    paths = many(tmp_path / "sent", COUNT)
    files = {f"1.2.826.0.1.3680043.10.9.{(int(path.stem) - 1) // 50}.1.{int(path.stem)}": path for path in paths}
    body = message(path.read_bytes() for path in paths)
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {RELATED}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    nobody = SimpleNamespace(acknowledged=())  # there was no answer, so nothing was promised
    with running_bridge(tmp_path) as bridge:
        with socket.create_connection(("127.0.0.1", bridge.http_port), 30) as connection:
            connection.sendall(head.encode() + body[: len(body) * 2 // 3])
            wait_until(lambda: bridge.json("/instances?limit=1"), timeout_s=60, what="the first instance")
            bridge.kill_everything()
        bridge.start()
        check_everything(bridge, nobody, files)
        assert post(bridge, body) == 200
        check_everything(bridge, SimpleNamespace(acknowledged=files), files)
        assert f"{COUNT} of {COUNT} objects are intact" in bridge.cli("scrub").stdout
