"""`dicom-bridge serve`: opens the listening sockets, drops privileges, starts the doors by name, keeps them alive.

Sockets are opened here once and inherited, so associations spread fairly over processes and ports below 1024 need no
privileged door (DESIGN §7). Every child may die at any time: it is started again, with a growing delay.

It lives as long as the archive does, so it loads next to nothing: `dicom-bridge serve` prepares, and then becomes this.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bridge import logs
from bridge.addresses import is_loopback
from bridge.config import load
from bridge.errors import ConfigError
from bridge.settings import Settings

_LOG = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before any fork
_POLL_S = 0.1
_BACKLOG = 256
_QUICK_DEATH_S = 5.0
# glibc: keep the pages of one instance for the next one, instead of asking the kernel for zeroed ones each time
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "16777216", "MALLOC_TRIM_THRESHOLD_": "33554432", "MALLOC_ARENA_MAX": "4"}


@dataclass(slots=True)
class Child:
    """One process to keep alive."""

    name: str
    command: list[str]
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay_s: float = 0.0
    start_at: float = field(default=0.0)

    @property
    def hears_hang_up(self) -> bool:
        """Whether it looks again at peers and certificates on SIGHUP."""
        return self.name.startswith("scp")


def main(arguments: list[str] | None = None) -> int:
    """`python -m bridge.supervisor`: run everything; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bridge.supervisor", description="Runs the doors and the worker.")
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.config)
        logs.set_up(settings)
        return supervise(settings, options.config)
    except ConfigError as error:
        print(f"dicom-bridge: {error}", file=sys.stderr)
        return 2


def become(config: Path | None) -> NoReturn:
    """Replace this process, which has loaded all that preparing needs, by the supervisor."""
    arguments = [sys.executable, "-m", "bridge.supervisor"]
    if config is not None:
        arguments += ["--config", str(config)]
    os.execv(sys.executable, arguments)  # noqa: S606  # our own interpreter and module


def check_exposure(settings: Settings, *, keys_exist: bool, peers_exist: bool) -> None:
    """Refuse to listen beyond loopback without access control. Raises ConfigError with the way to allow it."""
    if not is_loopback(settings.dimse.host) and not peers_exist and not settings.dimse.allow_any_peer:
        raise ConfigError(
            f"dimse.host is {settings.dimse.host}, and no peer says who may call; "
            "add one with `dicom-bridge peers add`, or set dimse.allow_any_peer = true"
        )
    if not is_loopback(settings.http.host) and not keys_exist and not settings.http.allow_anonymous:
        raise ConfigError(
            f"http.host is {settings.http.host}, and there is no access key; "
            "make one with `dicom-bridge keys add NAME`, or set http.allow_anonymous = true"
        )


def check_packages() -> None:
    """The doors' names are generic; make sure they are ours. Raises ConfigError."""
    home = Path(__file__).resolve().parent.parent
    for name in ("scp", "dicomweb", "storage"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if found != home:
            raise ConfigError(
                f"the package {name!r} comes from {found}, not from {home}; install the bridge in its own environment"
            )


def open_socket(host: str, port: int, *, timeout_s: float) -> socket.socket:
    """A listening socket; waits while an earlier instance drains. Raises ConfigError when the port stays taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            listening.bind((host, port))
            listening.listen(_BACKLOG)
        except OSError as error:
            if time.monotonic() >= deadline:
                listening.close()
                raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
            time.sleep(_POLL_S)
        else:
            return listening


def open_dimse_sockets(settings: Settings) -> tuple[socket.socket | None, socket.socket | None]:
    """Those of the DIMSE door: plain, and over TLS. Raises ConfigError."""
    host, tls, bind_s = settings.dimse.host, settings.tls, settings.supervisor.bind_timeout_s
    if not tls.port and not tls.plain:
        raise ConfigError("tls.plain is off and tls.port is 0: the DIMSE door would have no port at all")
    plain = open_socket(host, settings.dimse.port, timeout_s=bind_s) if tls.plain else None
    try:
        return plain, open_socket(host, tls.port, timeout_s=bind_s) if tls.port else None
    except ConfigError:
        if plain is not None:
            plain.close()
        raise


def supervise(settings: Settings, config: Path | None) -> int:
    """Run everything until a signal says stop; returns the exit code."""
    check_packages()
    bind_s = settings.supervisor.bind_timeout_s
    with contextlib.ExitStack() as opened:
        dimse, over_tls = (one and opened.enter_context(one) for one in open_dimse_sockets(settings))
        http = opened.enter_context(open_socket(settings.http.host, settings.http.port, timeout_s=bind_s))
        _drop_privileges(settings.supervisor.user)
        environment = _environment(settings, config)
        children = _children(settings, dimse, over_tls, http)
        stopping = _Signals()
        _say_hello(settings, dimse, over_tls, http)
        try:
            while not stopping.asked:
                if stopping.hung_up:
                    stopping.hung_up = False
                    _hang_up(children)
                _keep_alive(children, settings, environment)
                time.sleep(_POLL_S)
        finally:
            _stop(children, max(settings.dimse.drain_timeout_s, settings.http.drain_timeout_s) + 5)
    return 0


class _Signals:
    """Remembers SIGTERM, SIGINT and SIGHUP."""

    def __init__(self) -> None:
        self.asked = self.hung_up = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGHUP, self._note_hang_up)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def _note_hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self.hung_up = True


def _children(
    settings: Settings, dimse: socket.socket | None, over_tls: socket.socket | None, http: socket.socket
) -> list[Child]:
    python = sys.executable
    sockets: dict[str, dict[str, socket.socket | None]] = {
        "scp": {"--fd": dimse, "--tls-fd": over_tls},
        "dicomweb": {"--fd": http},
    }
    processes = {"scp": settings.dimse.processes, "dicomweb": settings.http.processes}
    children = []
    for name, opened in sockets.items():
        inherited = {option: one.fileno() for option, one in opened.items() if one is not None}
        options = [text for option, descriptor in inherited.items() for text in (option, str(descriptor))]
        children += [
            Child(f"{name} {number + 1}", [python, "-m", name, *options], tuple(inherited.values()))
            for number in range(processes[name])
        ]
    children.append(Child("scp sender", [python, "-m", "scp.sender"]))
    wanted = {name for rule in settings.forward_rules for name in rule.to}
    if any(destination.name in wanted for destination in settings.web_destinations):
        children.append(Child("dicomweb sender", [python, "-m", "dicomweb.forward"]))
    return [
        *children,
        Child("worker", [python, "-m", "bridge", "worker"]),
    ]


def _environment(settings: Settings, config: Path | None) -> dict[str, str]:
    """The children's environment: same settings, one folder for all processes' metrics."""
    run = settings.storage.directory.absolute() / "run"
    metrics = run / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True, exist_ok=True)
    environment = {**ALLOCATOR, **os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    if config is not None:
        environment["BRIDGE_CONFIG"] = str(config.absolute())
    return environment


def _keep_alive(children: list[Child], settings: Settings, environment: dict[str, str]) -> None:
    now = time.monotonic()
    for child in children:
        if child.process is not None and child.process.poll() is not None:
            _note_death(child, settings, now)
        if child.process is None and now >= child.start_at:
            _start(child, environment, now)


def _start(child: Child, environment: dict[str, str], now: float) -> None:
    child.process = subprocess.Popen(  # noqa: S603  # our own interpreter and module names
        child.command, env=environment, pass_fds=child.descriptors, preexec_fn=_die_with_parent
    )
    child.started_at = now


def _note_death(child: Child, settings: Settings, now: float) -> None:
    assert child.process is not None
    code = child.process.returncode
    quick = now - child.started_at < _QUICK_DEATH_S
    first, most = settings.supervisor.restart_delay_s, settings.supervisor.restart_delay_max_s
    child.delay_s = min(most, max(first, child.delay_s * 2)) if quick else first
    child.process, child.start_at = None, now + child.delay_s
    _LOG.error("%s ended with code %s; it starts again in %.1f s", child.name, code, child.delay_s)


def _hang_up(children: list[Child]) -> None:
    """SIGHUP to those that look at changed peers by it; the others would end of it."""
    for child in children:
        if child.hears_hang_up and child.process is not None:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGHUP)


def _stop(children: list[Child], patience_s: float) -> None:
    """SIGTERM, then wait for the doors to drain, then SIGKILL."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + patience_s
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    """Runs in the child before exec: when the supervisor is killed, the kernel asks the child to end too (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _drop_privileges(user: str) -> None:
    if not user:
        return
    try:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except (KeyError, PermissionError) as error:
        raise ConfigError(f"cannot become the user {user!r} of supervisor.user: {error}") from error


def _say_hello(
    settings: Settings, dimse: socket.socket | None, over_tls: socket.socket | None, http: socket.socket
) -> None:
    for words, opened in (("DIMSE", dimse), ("DIMSE over TLS", over_tls)):
        if opened is not None:
            host, port = opened.getsockname()[:2]
            _LOG.info("%s: %s@%s:%d", words, settings.dimse.ae_title, host, port)
    web_host, web_port = http.getsockname()[:2]
    scheme = "https" if settings.http.tls_certificate else "http"
    _LOG.info("DICOMweb: %s://%s:%d%s", scheme, web_host, web_port, settings.http.root)


if __name__ == "__main__":
    sys.exit(main())
