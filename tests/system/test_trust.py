"""Who may come in, on a running bridge: TLS instead of the plain port, peers that change without a restart."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.conftest import Dcmtk
from tests.scp.identities import Authority
from tests.servers.process import free_port, wait_until
from tests.system.objects import many
from tests.system.running import RunningBridge, running_bridge

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def accepts(dcmtk: Dcmtk, bridge: RunningBridge, ae_title: str) -> bool:
    """Whether an echo under this title is answered."""
    return dcmtk.run("echoscu", "-aet", ae_title, "127.0.0.1", str(bridge.dimse_port)).returncode == 0


def test_peers_come_and_go_without_a_restart(tmp_path: Path, dcmtk: Dcmtk) -> None:
    with running_bridge(tmp_path, dimse={"peers_interval_s": 0.3}) as bridge:
        assert accepts(dcmtk, bridge, "CT01")  # nobody is listed: this machine may call
        bridge.cli("peers", "add", "mr-1", "ae_title=MR01")
        wait_until(lambda: not accepts(dcmtk, bridge, "CT01"), what="CT01 being refused")
        assert accepts(dcmtk, bridge, "MR01")
        bridge.cli("peers", "remove", "mr-1")
        wait_until(lambda: accepts(dcmtk, bridge, "CT01"), what="CT01 being admitted again")


def test_an_edited_file_counts_at_once_when_serve_hears_sighup(tmp_path: Path, dcmtk: Dcmtk) -> None:
    with running_bridge(tmp_path, dimse={"peers_interval_s": 600.0}) as bridge:
        assert bridge.process is not None
        text = bridge.config.read_text()
        bridge.config.write_text(text + "[[peers]]\nname = 'mr-1'\nae_title = 'MR01'\n")
        os.kill(bridge.process.pid, signal.SIGHUP)
        wait_until(lambda: not accepts(dcmtk, bridge, "CT01"), what="CT01 being refused")
        wait_until(lambda: accepts(dcmtk, bridge, "MR01"), what="MR01 being admitted")
        bridge.config.write_text(text + "[[peers]]\nname = 'mr-1'\n")
        os.kill(bridge.process.pid, signal.SIGHUP)
        wait_until(lambda: "the peers stay as they were: peers[0] is incomplete" in bridge.log(), what="the log line")
        assert accepts(dcmtk, bridge, "MR01")
        bridge.config.write_text(text)


def test_tls_instead_of_the_plain_port(tmp_path: Path, dcmtk: Dcmtk) -> None:
    authority = Authority(tmp_path / "certificates")
    own, device = authority.identity("127.0.0.1"), authority.identity("ct01.example")
    files = {"certificate": str(own.certificate), "key": str(own.key), "authorities": str(authority.file)}
    bridge = RunningBridge(tmp_path / "bridge", {"tls": {"port": free_port(), "plain": False, **files}})
    port = bridge.sections["tls"]["port"]
    bridge.directory.mkdir()
    bridge.readiness_port = int(str(port))
    try:
        bridge.start()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", bridge.dimse_port))
        bridge.cli("peers", "add", "ct-1", "ae_title=CT01", "certificate=ct01.example")
        options = ("+tls", str(device.key), str(device.certificate), "+cf", str(authority.file), "-aet", "CT01")
        images = many(tmp_path / "images", 5)
        done = dcmtk.run("storescu", *options, "127.0.0.1", str(port), *images)
        assert done.returncode == 0, done.stderr
        assert len(bridge.json("/instances")) == 5
        assert "DIMSE over TLS: BRIDGE@127.0.0.1" in bridge.log()
    finally:
        bridge.stop()
