"""Associations spread over the processes of the DIMSE door, however close together they come."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge.settings import Dimse
from scp.scu import Offer, Remote, open_association
from tests.system.running import RunningBridge, running_bridge, wait_until

VERIFICATION = Offer("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
ESTABLISHED = "01"  # in /proc/net/tcp


def connections(bridge: RunningBridge) -> list[int]:
    """How many associations each door process has open, fewest first."""
    port = f"{bridge.dimse_port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    accepted = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port}") and line[3] == ESTABLISHED}
    doors = [pid for pid in bridge.pids() if Path(f"/proc/{pid}/comm").read_text().strip() in ("scp 1", "scp 2")]
    return sorted(len(accepted & _open_files(pid)) for pid in doors)


def _open_files(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(entry.readlink()))
    return found


def test_associations_that_come_at_once_spread_evenly(tmp_path: Path) -> None:
    with (
        running_bridge(tmp_path, dimse={"processes": 2, "allow_any_peer": True}) as bridge,
        contextlib.ExitStack() as open_ones,
        ThreadPoolExecutor(8) as pool,
    ):

        def call(_: int) -> contextlib.ExitStack:
            remote = Remote("BRIDGE", "127.0.0.1", bridge.dimse_port)
            association = contextlib.ExitStack()
            association.enter_context(
                open_association(remote, [VERIFICATION], calling_ae_title="WS", dimse=Dimse(response_timeout_s=30))
            )
            return association

        for association in pool.map(call, range(8)):
            open_ones.enter_context(association)
        wait_until(lambda: connections(bridge) == [4, 4], what="four associations in each process")
