"""Other people's archives to pull from: DCMTK's dcmqrscp and pynetdicom's qrscp, filled by C-STORE."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Dcmtk
from tests.servers.process import ServerProcess, free_port

_DCMQRSCP = """
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
new = (BRIDGE, 127.0.0.1, {new_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
OLD {folder} RW (200, 1024mb) ANY
AETable END
"""
_QRSCP = """
[DEFAULT]
ae_title: OLD
port: {port}
max_pdu: 16382
acse_timeout: 30
dimse_timeout: 30
network_timeout: 30
bind_address: 127.0.0.1
instance_location: {folder}/instances
database_location: {folder}/instances.sqlite
log_identifier: False
[BRIDGE]
address: 127.0.0.1
port: {new_port}
"""


@contextmanager
def dcmqrscp(dcmtk: Dcmtk, folder: Path, files: list[Path], new_port: int) -> Iterator[int]:
    """DCMTK's archive with these files; yields its port. It knows BRIDGE on `new_port`."""
    data = folder / "data"
    data.mkdir(parents=True)
    port = free_port()
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(_DCMQRSCP.format(port=port, new_port=new_port, folder=data))
    command = [dcmtk.path("dcmqrscp"), "-c", str(configuration), str(port)]
    with _running(command, folder, port):
        _fill(dcmtk, port, files)
        yield port


@contextmanager
def qrscp(dcmtk: Dcmtk, folder: Path, files: list[Path], new_port: int) -> Iterator[int]:
    """pynetdicom's archive, likewise."""
    folder.mkdir(parents=True)
    port = free_port()
    configuration = folder / "qrscp.ini"
    configuration.write_text(_QRSCP.format(port=port, new_port=new_port, folder=folder))
    with _running([sys.executable, "-m", "pynetdicom", "qrscp", "-c", str(configuration)], folder, port):
        _fill(dcmtk, port, files)
        yield port


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with ServerProcess(command, folder / "log") as server:
        server.wait_ready(lambda: _listens(port))
        yield


def _fill(dcmtk: Dcmtk, port: int, files: list[Path]) -> None:
    done = dcmtk.run("storescu", "-aec", "OLD", "127.0.0.1", str(port), *files)
    assert done.returncode == 0, done.stderr


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
