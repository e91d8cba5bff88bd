"""Signals and sudden ends, as they reach a running bridge: what a sender, a terminal and the next start notice."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import Dcmtk
from tests.scp.identities import Authority
from tests.scp.wire import COMMAND, DATA, STORE_CONTEXT, Peer, message, store
from tests.servers.process import free_port, wait_until
from tests.system.objects import data_set_bytes, many
from tests.system.running import REPOSITORY, RunningBridge, running_bridge, write_config
from tests.system.test_processes import children

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
SOP = "1.2.826.0.1.3680043.10.9.0.1.1"  # of the first of `many`
COMPOSED = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
OURS = [name for name, service in COMPOSED.items() if service.get("image") == "dicom-bridge" and name != "setup"]


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path, dimse={"processes": 1}, http={"processes": 1}) as running:
        yield running


@contextlib.contextmanager
def half_a_push(bridge: RunningBridge, path: Path) -> Iterator[tuple[Peer, bytes]]:
    """An association whose C-STORE has arrived but for its end; the rest is the caller's to send."""
    whole = message(3, COMMAND, store(SOP)) + message(3, DATA, data_set_bytes(path))
    with Peer(("127.0.0.1", bridge.dimse_port)) as peer:
        peer.associate(STORE_CONTEXT)
        peer.send(whole[:-1000])
        own = peer.socket.getsockname()[1]
        wait_until(lambda: unread_bytes(bridge.dimse_port, own) == 0, what="the door having read it")
        yield peer, whole[-1000:]


def unread_bytes(port: int, caller: int) -> int:
    """What has arrived at the port from this caller's and was not read yet."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[2].endswith(f":{caller:04X}"):
            return int(fields[4].partition(":")[2], 16)
    raise AssertionError("there is no such connection")


def test_a_door_killed_in_a_push_loses_the_association_and_is_back(bridge: RunningBridge, dcmtk: Dcmtk) -> None:
    [path] = many(bridge.directory / "sent", 1)
    before = children(bridge)["scp 1"]
    with half_a_push(bridge, path) as (peer, _):
        os.kill(before, signal.SIGKILL)
        with contextlib.suppress(ConnectionResetError):
            assert peer.socket.recv(1) == b""
    wait_until(lambda: children(bridge).get("scp 1", before) != before, what="the door being back")
    assert bridge.json("/instances") == []
    assert dcmtk.run("storescu", "127.0.0.1", str(bridge.dimse_port), path).returncode == 0
    assert len(bridge.json("/instances")) == 1


def test_a_push_that_has_begun_is_finished_after_sigterm(bridge: RunningBridge) -> None:
    [path] = many(bridge.directory / "sent", 1)
    assert bridge.process is not None
    with half_a_push(bridge, path) as (peer, rest):
        os.kill(bridge.process.pid, signal.SIGTERM)
        wait_until(lambda: "dicomweb 1" not in children(bridge), what="the other door having ended")
        peer.send(rest)
        assert peer.status() == 0x0000
    wait_until(lambda: not bridge.pids(), what="every process having ended")
    assert "ended with code" not in bridge.log()
    assert not (bridge.directory / "data" / "index.sqlite-wal").exists()  # every process closed the index
    bridge.start()
    assert len(bridge.json("/instances")) == 1


def test_a_killed_supervisor_gives_its_ports_to_the_next_one(bridge: RunningBridge) -> None:
    assert bridge.process is not None
    os.kill(bridge.process.pid, signal.SIGKILL)
    wait_until(lambda: not children(bridge), what="every child having ended")
    for port in (bridge.dimse_port, bridge.http_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    bridge.serve()


def test_sighup_takes_a_renewed_certificate_and_ends_nobody(tmp_path: Path) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    own, fresh = old.identity("127.0.0.1"), new.identity("127.0.0.1")
    tls: dict[str, object] = {"certificate": str(own.certificate), "key": str(own.key), "authorities": str(old.file)}
    port = free_port()
    with running_bridge(
        tmp_path / "bridge", dimse={"peers_interval_s": 600.0}, tls={"port": port, "client_certificates": "none", **tls}
    ) as bridge:
        assert bridge.process is not None
        before = children(bridge)
        assert vouches(old, port)
        assert not vouches(new, port)
        shutil.copy(fresh.key, own.key)
        shutil.copy(fresh.certificate, own.certificate)
        os.kill(bridge.process.pid, signal.SIGHUP)
        wait_until(lambda: vouches(new, port), what="the renewed certificate being shown")
        assert children(bridge) == before


def vouches(authority: Authority, port: int) -> bool:
    """Whether the certificate shown on the port is of this authority."""
    context = ssl.create_default_context(cafile=str(authority.file))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            context.wrap_socket(plain, server_hostname="127.0.0.1").close()
    except ssl.SSLCertVerificationError:
        return False
    return True


@pytest.mark.parametrize("moment", ["children begin", "ready"])
def test_ctrl_c_in_a_terminal_ends_without_a_traceback(tmp_path: Path, moment: str) -> None:
    bridge = RunningBridge(tmp_path, {"http": {"processes": 1}, "dimse": {"processes": 1}})
    write_config(bridge)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.execv(sys.executable, [sys.executable, "-m", "bridge", "serve", "--config", str(bridge.config)])
    if moment == "children begin":
        wait_until(lambda: bool(Path(f"/proc/{pid}/task/{pid}/children").read_text()), what="the first child")
    else:
        wait_until(bridge.is_ready, what="both doors answering")
    os.write(terminal, b"\x03")
    said = everything(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert "Traceback" not in said
    assert code in (0, 130, -signal.SIGINT), said


def everything(terminal: int) -> str:
    """What is said there until nobody has it open."""
    said = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            said += os.read(terminal, 65536)
        except OSError:  # the last one has gone
            break
    return said.decode(errors="replace")


@pytest.mark.parametrize("name", OURS)
def test_what_compose_starts_runs_alone_and_ends_on_sigterm(tmp_path: Path, name: str) -> None:
    bridge = RunningBridge(tmp_path)
    write_config(bridge)
    bridge.cli("migrate")
    ready = {
        "scp": lambda: hears_sigterm(process.pid) and accepts(bridge.dimse_port),
        "dicomweb": lambda: bridge.get("/ready")[0] == 200,
        "sender": lambda: hears_sigterm(process.pid),
        "worker": lambda: hears_sigterm(process.pid),
    }
    programs = {"python": [sys.executable], "dicom-bridge": [sys.executable, "-m", "bridge"]}
    program, *arguments = COMPOSED[name]["command"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "BRIDGE_CONFIG": str(bridge.config)}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([*programs[program], *arguments], stdout=log, stderr=log, env=environment) as process,
    ):
        try:
            wait_until(ready[name], what=f"{name} being ready")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def hears_sigterm(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught & 1 << (signal.SIGTERM - 1))
