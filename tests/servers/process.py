"""A server process on loopback that cannot outlive its owner: own process group, killed at the end and on a crash."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

STOP_S = 5.0


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 30.0, what: str = "the condition") -> None:
    """Poll until `condition()` is true. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout_s:g} s")
        time.sleep(0.02)


class ServerProcess:
    """Runs `command` with its output in `log`; `stop`, or leaving the `with` block, ends it and all it started."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        group: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = list(command)
        self.environment = dict(environment or {})
        self.stop_signal = stop_signal
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],  # dies with us even when we are killed outright
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, which is its group's id too."""
        return self._process.pid

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until `ready()`; a server that ends instead, or never gets there, raises RuntimeError with its log."""

        def ready_or_dead() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.command[0]} ended with {self._process.returncode}:\n{self.tail()}")
            return ready()

        try:
            wait_until(ready_or_dead, timeout_s=timeout_s, what=f"{self.command[0]} being ready")
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(f"{error}:\n{self.tail()}") from error

    def tail(self) -> str:
        """The end of what the server said."""
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """kill -9 of the whole group, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOP_S)

    def again(self) -> ServerProcess:
        """The same command once more, after a kill."""
        return ServerProcess(self.command, self.log, environment=self.environment, stop_signal=self.stop_signal)

    def stop(self) -> None:
        """Ask, then kill the whole group. Harmless when it has already ended."""
        atexit.unregister(self.stop)
        for sign in (self.stop_signal, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
