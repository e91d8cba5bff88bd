"""Processes that begin as copies of the supervisor, which has loaded their code: what is loaded once is there once.

Measured with both doors on one box, idle: each of six processes that loaded its code itself had 55 to 80 MB of its own.
A copy has its own process id, signals and sockets, and ends when the supervisor is killed.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LIBC = ctypes.CDLL(None)  # loaded before any fork
_FORK = multiprocessing.get_context("fork")


@dataclass(slots=True)
class Child:
    """One process to keep alive: `module.main(arguments)`, in which only these of the sockets are open."""

    name: str  # what `ps -e` shows, up to 15 characters
    module: str
    arguments: list[str] = field(default_factory=list)
    sockets: tuple[socket.socket, ...] = ()
    process: ForkProcess | None = None
    started_at: float = 0.0  # by the monotonic clock, as all times here
    delay_s: float = 0.0
    start_at: float = 0.0

    @property
    def hears_hang_up(self) -> bool:
        """Whether it looks again at peers and certificates on SIGHUP."""
        return self.name.startswith("scp")


def load(children: Iterable[Child]) -> None:
    """Import what the children run, in this process, which must have no threads. The collector leaves it alone.

    The modules are named by strings: nothing of the hall imports a door.
    """
    for module in dict.fromkeys(child.module for child in children):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection writes to every object it looks at, and a page that is written to is no longer shared


def start(child: Child, sockets: Iterable[socket.socket]) -> None:
    """Start it as a copy of this process; of all `sockets` it keeps its own. Raises OSError."""
    foreign = [one for one in sockets if one not in child.sockets]
    parent = os.getpid()
    child.process = _FORK.Process(target=_live, args=(child, foreign, parent), name=child.name)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # none may meet the supervisor's handlers in the copy
    try:
        child.process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    child.started_at = time.monotonic()


def stop(children: Iterable[Child], patience_s: float) -> None:
    """SIGTERM, then wait for the doors to drain, then SIGKILL."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + patience_s
    for process in running:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


def _live(child: Child, foreign: Iterable[socket.socket], parent: int) -> None:
    """In the copy: shed what is the supervisor's, and run the module's main function."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # when the supervisor is killed, the kernel asks this one to end
    _LIBC.prctl(_PR_SET_NAME, child.name.encode())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; one that still loads is told by SIGTERM
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    if os.getppid() != parent:
        return
    for one in foreign:
        one.close()
    for one in child.sockets:
        one.detach()  # its descriptor is named in the arguments
    sys.exit(sys.modules[child.module].main(child.arguments))
