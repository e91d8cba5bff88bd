"""The processes of one box: copies of the supervisor that share its memory, with their own names, sockets and ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.memory import pss_mb
from tests.servers.process import wait_until
from tests.system.running import RunningBridge, running_bridge

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
CHILDREN = {"scp 1", "scp 2", "dicomweb 1", "dicomweb 2", "scp sender", "worker"}
GOAL_MB = 450
_LISTENING = "0A"


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path, dimse={"processes": 2}, http={"processes": 2}) as running:
        wait_until(lambda: set(children(running)) == CHILDREN, what="every child being there")
        yield running


def children(bridge: RunningBridge) -> dict[str, int]:
    """The children by name."""
    assert bridge.process is not None
    found = {}
    for pid in set(bridge.pids()) - {bridge.process.pid}:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found[Path(f"/proc/{pid}/comm").read_text().strip()] = pid
    return found


def listening_ports(pid: int) -> set[int]:
    """The ports whose listening sockets this process holds."""
    ports = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENING:
            ports[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    links = (str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {found.group(1) for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    return {port for inode, port in ports.items() if inode in inodes}


def test_what_is_loaded_once_is_there_once(bridge: RunningBridge) -> None:
    assert bridge.process is not None
    together = pss_mb(bridge.process.pid)
    assert together < GOAL_MB
    apart = sum(_resident_mb(pid) for pid in bridge.pids())
    assert together < apart / 2


def _resident_mb(pid: int) -> float:
    found = re.search(r"^Rss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found.group(1)) * 1024 / 1e6


def test_each_child_holds_the_sockets_of_its_own_door(bridge: RunningBridge) -> None:
    held = {name: listening_ports(pid) for name, pid in children(bridge).items()}
    dimse, http = {bridge.dimse_port}, {bridge.http_port}
    assert held == {
        "scp 1": dimse,
        "scp 2": dimse,
        "dicomweb 1": http,
        "dicomweb 2": http,
        "scp sender": set(),
        "worker": set(),
    }


def test_a_child_that_dies_comes_back_under_its_name(bridge: RunningBridge) -> None:
    before = children(bridge)
    for name in CHILDREN:
        os.kill(before[name], signal.SIGKILL)
    wait_until(lambda: not set(children(bridge).values()) & set(before.values()), what="the killed having gone")
    wait_until(lambda: set(children(bridge)) == CHILDREN, what="every child being back")
    wait_until(bridge.is_ready, what="both doors answering")
    assert bridge.log().count("ended with code -9") == len(CHILDREN)


def test_no_child_outlives_a_killed_supervisor(bridge: RunningBridge) -> None:
    assert bridge.process is not None
    os.kill(bridge.process.pid, signal.SIGKILL)
    wait_until(lambda: not children(bridge), what="every child having ended")


def test_it_ends_when_asked_and_leaves_nobody_behind(bridge: RunningBridge) -> None:
    assert bridge.process is not None
    os.kill(bridge.process.pid, signal.SIGTERM)
    wait_until(lambda: not bridge.pids(), what="every process having ended")
    assert "ended with code" not in bridge.log()
    assert "Traceback" not in bridge.log()
