"""A whole bridge as a user starts it: `python -m bridge serve` with a configuration file, real processes and ports."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.object_stores import S3Server
from tests.servers.process import ServerProcess, free_port, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
Section = dict[str, object] | list[dict[str, object]]  # a list is [[name]], once for each


@dataclass
class RunningBridge:
    """A bridge that runs in `directory`; `restart` starts it again after a kill."""

    directory: Path
    sections: dict[str, Section] = field(default_factory=dict)
    dimse_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: ServerProcess | None = None
    through: tuple[str, ...] = ()  # what every command is run by
    readiness_port: int = 0  # of the DIMSE door, where that is another one

    @property
    def config(self) -> Path:
        """The configuration file it runs with."""
        return self.directory / "bridge.toml"

    @property
    def url(self) -> str:
        """The DICOMweb service root."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def start(self) -> None:
        """Start it and wait until it is ready for both doors."""
        write_config(self)
        self.cli("migrate")
        self.serve()

    def serve(self) -> None:
        """Start it with the configuration file that is there, on a data folder that may not be."""
        environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = ServerProcess(
            [*self.through, sys.executable, "-m", "bridge", "serve", "--config", str(self.config)],
            self.directory / "bridge.log",
            environment=environment,
        )
        self.process.wait_ready(self.is_ready)

    def is_ready(self) -> bool:
        """Whether both doors answer."""
        return self.get("/ready")[0] == 200 and _accepts(self.readiness_port or self.dimse_port)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """GET a path of the HTTP door; (0, b"") when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def json(self, path: str) -> list[dict[str, object]]:
        """GET DICOM JSON below the service root; an empty list for 204."""
        status, body = self.get("/dicom-web" + path, {"Accept": "application/dicom+json"})
        assert status in (200, 204), (status, body[:500])
        found: list[dict[str, object]] = json.loads(body) if body else []
        return found

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a verb of the command line against the same configuration."""
        return subprocess.run(
            [*self.through, sys.executable, "-m", "bridge", *arguments, "--config", str(self.config)],
            cwd=REPOSITORY,
            env={**os.environ, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            timeout=300,
            check=check,
        )

    def pids(self) -> dict[int, str]:
        """The processes of this bridge: the supervisor and its children, by command."""
        assert self.process is not None
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.getpgid(int(entry.name)) == self.process.pid:
                    command = (entry / "cmdline").read_text().replace("\0", " ").strip()
                    if command:  # a zombie has none: it is gone, it only waits to be asked how it ended
                        found[int(entry.name)] = command
        return found

    def kill_everything(self) -> None:
        """The power cut: kill -9 of every process at once."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stop()
        wait_until(lambda: not self.pids(), what="every process being gone")
        self.process.stop()

    def stop(self) -> None:
        """Ask it to stop, as systemd would."""
        if self.process is not None:
            self.process.stop()

    def log(self) -> str:
        """Everything it logged."""
        return (self.directory / "bridge.log").read_text(errors="replace")


@contextlib.contextmanager
def running_bridge(directory: Path, **sections: Section) -> Iterator[RunningBridge]:
    """A bridge with these configuration sections, stopped at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    bridge = RunningBridge(directory, sections)
    try:
        bridge.start()
        yield bridge
    finally:
        bridge.stop()


def on_s3(server: S3Server, *, bucket: str | None = None, **more: object) -> dict[str, object]:
    """The storage section for an S3 server."""
    return {
        "hot": "s3",
        "s3_endpoint": server.endpoint,
        "s3_access_key": server.access_key,
        "s3_secret_key": server.secret_key,
        "s3_bucket": bucket or server.new_bucket_name(),
        "s3_tls": False,
        **more,
    }


def write_config(bridge: RunningBridge) -> None:
    """Write the TOML file: ports and folders of this test, and its sections."""
    sections: dict[str, dict[str, object]] = {
        "storage": {"directory": str(bridge.directory / "data"), "free_space_reserve_bytes": 0},
        "dimse": {"port": bridge.dimse_port},
        "http": {"port": bridge.http_port},
    }
    lists = {name: values for name, values in bridge.sections.items() if isinstance(values, list)}
    for name, values in bridge.sections.items():
        if not isinstance(values, list):
            sections.setdefault(name, {}).update(values)
    tables = [(f"[{name}]", values) for name, values in sections.items()]
    tables += [(f"[[{name}]]", values) for name, each in lists.items() for values in each]
    lines = []
    for head, values in tables:
        lines.append(head)
        lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
    bridge.config.write_text("\n".join(lines) + "\n")


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else json.dumps(value)


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False
