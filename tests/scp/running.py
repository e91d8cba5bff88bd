"""A door in this process: a server in a thread, on a port of its own, over an archive in memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.archive import Archive
from bridge.settings import Dimse, Ingest, Peer, Settings
from scp.operation import Intake
from scp.sender import Sender
from scp.server import INGEST, Server
from tests.bridge.archives import open_test_archive

PATIENCE_S = 10.0


@dataclass
class RunningDoor:
    """What a test needs of it."""

    server: Server
    archive: Archive
    address: tuple[str, int]
    thread: threading.Thread
    tls_port: int = 0

    @property
    def port(self) -> int:
        """Where to call."""
        return self.address[1]

    def stop(self) -> None:
        """Ask it to drain, and wait until it has."""
        self.server.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def count(self) -> int:
        """How many instances the archive has."""
        return self.archive.index.tally().instances


@dataclass
class SlowIntake:
    """`bridge.ingest` that waits for leave before each commit."""

    may_finish: threading.Event = field(default_factory=threading.Event)
    has_begun: threading.Event = field(default_factory=threading.Event)

    def intake(self) -> Intake:
        """The verbs."""
        return Intake(begin=INGEST.begin, ingest=self._ingest)

    def _ingest(self, archive: Archive, spool: Any, delivery: Any) -> Any:
        self.has_begun.set()
        assert self.may_finish.wait(PATIENCE_S)
        return INGEST.ingest(archive, spool, delivery)


def settings(*, peers: tuple[Peer, ...] = (), unknown_sop_classes: bool = True, **dimse: Any) -> Settings:
    """Settings with some DIMSE values changed; one process, short waits."""
    changed = {"processes": 1, "artim_timeout_s": 5.0, "drain_timeout_s": 5.0, **dimse}
    return Settings(dimse=Dimse(**changed), peers=peers, ingest=Ingest(unknown_sop_classes=unknown_sop_classes))


@contextmanager
def running_door(directory: Path, wanted: Settings | None = None, *, intake: Intake = INGEST) -> Iterator[RunningDoor]:
    """Open, yield, drain, close."""
    directory.mkdir(exist_ok=True)
    archive = open_test_archive(directory, wanted or settings())
    listening = socket.create_server(("127.0.0.1", 0))
    over_tls = socket.create_server(("127.0.0.1", 0)) if archive.settings.tls.port else None
    server = Server(archive, listening, over_tls=over_tls, intake=intake)
    thread = threading.Thread(target=server.run, name="door")
    tls_port = over_tls.getsockname()[1] if over_tls else 0
    door = RunningDoor(server, archive, server.address, thread, tls_port)
    door.thread.start()
    try:
        yield door
    finally:
        if door.thread.is_alive():
            door.stop()
        archive.close()


def wait_for(condition: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Wait until the condition holds; fails after a while."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


def turn(door: RunningDoor) -> None:
    """One round of a sender's process over the door's archive: what is due goes out, old jobs are forgotten."""
    sender = Sender(door.archive)
    sender.turn()
    assert sender.wait_idle(PATIENCE_S)
    sender.forget()
    sender.stop()
    sender.run()
