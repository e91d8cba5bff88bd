"""DCMTK's storescp as a place to send to, and what it received."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.conftest import Dcmtk
from tests.servers.process import ServerProcess, free_port


@dataclass(frozen=True)
class Destination:
    """A storescp that runs."""

    port: int
    folder: Path

    def files(self) -> list[Path]:
        """What it wrote."""
        return sorted(path for path in self.folder.iterdir() if path.name != "log")

    def received(self) -> list[Dataset]:
        """The same, read."""
        return [dcmread(path) for path in self.files()]


@contextmanager
def storescp(dcmtk: Dcmtk, folder: Path, *options: str) -> Iterator[Destination]:
    """A storescp that writes the bytes it gets below `folder`."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    command = [dcmtk.path("storescp"), "-od", str(folder), "-B", *options, str(port)]
    with ServerProcess(command, folder / "log") as server:
        server.wait_ready(lambda: _listens(port))
        yield Destination(port, folder)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
