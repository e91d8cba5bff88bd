"""A server under measurement: where its two doors are and which processes it is made of."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CACHE = Path(os.environ.get("DICOM_BRIDGE_BENCH", "~/.cache/dicom-bridge-bench")).expanduser()
STABLE_AGE_S = 75.0  # the rival begins its background work a minute after the last instance of a series


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One server. `pid` is the root of its process tree, None when somebody else started it."""

    name: str
    url: str  # of the DICOMweb service, without a slash at the end
    ae_title: str
    host: str
    port: int  # of the DIMSE door
    pid: int | None = None

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port of the HTTP door."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    @property
    def root(self) -> str:
        """The path of the DICOMweb service, as in `/dicom-web`."""
        return urlsplit(self.url).path.rstrip("/")


def parse_target(name: str, url: str, dimse: str, pid: int | None = None) -> Target:
    """`url` and `AET@host:port` as given on a command line; raises ValueError."""
    ae_title, _, address = dimse.partition("@")
    host, _, port = address.rpartition(":")
    if not (ae_title and host and port.isdigit()):
        raise ValueError(f"{dimse!r} is not of the form AET@host:port")
    return Target(name=name, url=url.rstrip("/"), ae_title=ae_title, host=host, port=int(port), pid=pid)


def discard(folder: Path) -> None:
    """Put a folder out of the way now, delete it when the program ends.

    A file system without a journal looks at every file that was deleted within the last minute before it makes a new
    one: deleting between two measurements would slow down the next one.
    """
    if folder.exists():
        aside = folder.with_name(f"discarded-{uuid.uuid4().hex}")
        folder.rename(aside)
        atexit.register(shutil.rmtree, aside, ignore_errors=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for files to be sent, discarded at the end."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        yield folder
    finally:
        discard(folder)


def process_tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(host: str, port: int, alive: Callable[[], bool], deadline_s: float = 60.0) -> None:
    """Return once something accepts there; raises RuntimeError when `alive` turns false or the deadline passes."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            socket.create_connection((host, port), timeout=1.0).close()
        except OSError:
            if not alive():
                raise RuntimeError(f"the server meant to listen on port {port} has ended") from None
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port} after {deadline_s:.0f} s")


def rest(
    servers: dict[str, Target], *, quiet_s: float = 10.0, stable_age_s: float = STABLE_AGE_S, deadline_s: float = 1200.0
) -> None:
    """Wait past the rival's stable age, then until the servers use less than 5 % of a core for `quiet_s`."""
    trees = [target.pid for target in servers.values() if target.pid is not None]
    begin = time.monotonic()
    while trees and time.monotonic() - begin < deadline_s:
        before = sum(map(_cpu_s, trees))
        time.sleep(quiet_s)
        if sum(map(_cpu_s, trees)) - before < 0.05 * quiet_s and time.monotonic() - begin > stable_age_s:
            break


def _cpu_s(pid: int) -> float:
    ticks = 0
    for member in process_tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
