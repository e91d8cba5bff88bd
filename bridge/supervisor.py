"""`dicom-bridge serve`: opens the listening sockets, drops privileges, starts the doors by name, keeps them alive.

Sockets are opened here once and inherited, so associations spread fairly over processes and ports below 1024 need no
privileged door (DESIGN §7). Every child may die at any time: it is started again, with a growing delay.

Children are copies of this process (`bridge/children.py`), so it loads what they all need and shares it with them; what
only preparing needs is not among that: `dicom-bridge serve` prepares, and then becomes this.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bridge import children, logs, service_user
from bridge.addresses import is_loopback
from bridge.archive import load_backends
from bridge.children import Child
from bridge.config import load
from bridge.errors import ConfigError
from bridge.settings import Settings

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1
_BACKLOG = 256
_QUICK_DEATH_S = 5.0
# What libraries read when they are loaded. glibc: keep the pages of one instance for the next one, instead of asking
# the kernel for zeroed ones each time. OpenBLAS: no threads; nobody multiplies matrices, and a fork copies none.
LOADING = {
    "MALLOC_MMAP_THRESHOLD_": "16777216",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
    "MALLOC_ARENA_MAX": "4",
    "OPENBLAS_NUM_THREADS": "1",
}


def main(arguments: list[str] | None = None) -> int:
    """`python -m bridge.supervisor`: run everything; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to tidy up yet, and no traceback for Ctrl-C
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parser = argparse.ArgumentParser(prog="python -m bridge.supervisor", description="Runs the doors and the worker.")
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.config)
        with service_user.acting_as(service_user.door_user(settings)):  # the audit trail's file is theirs
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
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the supervisor is loaded
    os.execve(sys.executable, arguments, {**LOADING, **os.environ})  # noqa: S606  # our own interpreter and module


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
        service_user.become(service_user.door_user(settings))
        _set_environment(settings, config)
        family = _children(settings, dimse, over_tls, http)
        load_backends(settings)
        children.load(family)
        stopping = _Signals()
        _say_hello(settings, dimse, over_tls, http)
        try:
            while not stopping.asked:
                if stopping.hung_up:
                    stopping.hung_up = False
                    _hang_up(family)
                _keep_alive(family, settings, [one for one in (dimse, over_tls, http) if one is not None])
                time.sleep(_POLL_S)
        finally:
            children.stop(family, max(settings.dimse.drain_timeout_s, settings.http.drain_timeout_s) + 5)
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
    sockets: dict[str, dict[str, socket.socket | None]] = {
        "scp": {"--fd": dimse, "--tls-fd": over_tls},
        "dicomweb": {"--fd": http},
    }
    processes = {"scp": settings.dimse.processes, "dicomweb": settings.http.processes}
    family = []
    for name, opened in sockets.items():
        inherited = {option: one for option, one in opened.items() if one is not None}
        options = [text for option, one in inherited.items() for text in (option, str(one.fileno()))]
        family += [
            Child(f"{name} {number + 1}", f"{name}.__main__", options, tuple(inherited.values()))
            for number in range(processes[name])
        ]
    family.append(Child("scp sender", "scp.sender"))
    wanted = {name for rule in settings.forward_rules for name in rule.to}
    if any(destination.name in wanted for destination in settings.web_destinations):
        family.append(Child("dicomweb sender", "dicomweb.forward"))
    return [*family, Child("worker", "bridge.worker")]


def _set_environment(settings: Settings, config: Path | None) -> None:
    """The children's environment: same settings, one folder for all processes' metrics. Before anything counts."""
    run = settings.storage.directory.absolute() / "run"
    metrics = run / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    if config is not None:
        os.environ["BRIDGE_CONFIG"] = str(config.absolute())


def _keep_alive(family: list[Child], settings: Settings, sockets: list[socket.socket]) -> None:
    now = time.monotonic()
    for child in family:
        if child.process is not None and child.process.exitcode is not None:
            _note_death(child, settings, now)
        if child.process is None and now >= child.start_at:
            children.start(child, sockets)


def _note_death(child: Child, settings: Settings, now: float) -> None:
    assert child.process is not None
    code = child.process.exitcode
    child.process.close()
    quick = now - child.started_at < _QUICK_DEATH_S
    first, most = settings.supervisor.restart_delay_s, settings.supervisor.restart_delay_max_s
    child.delay_s = min(most, max(first, child.delay_s * 2)) if quick else first
    child.process, child.start_at = None, now + child.delay_s
    _LOG.error("%s ended with code %s; it starts again in %.1f s", child.name, code, child.delay_s)


def _hang_up(family: list[Child]) -> None:
    """SIGHUP to those that look at changed peers by it; the others would end of it."""
    for child in family:
        if child.hears_hang_up and child.process is not None and child.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.process.pid, signal.SIGHUP)


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
