"""Where installed servers are kept: outside the clone, one folder a version, filled by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def directory() -> Path:
    """The cache folder, made when missing: `$XDG_CACHE_HOME/dicom-bridge-tests`, else below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = Path(base).expanduser() / "dicom-bridge-tests"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One installer at a time over all processes of this user; the lock dies with its holder."""
    with (directory() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def filling(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` by one rename when the block succeeds; nobody sees it half full."""
    work = Path(tempfile.mkdtemp(prefix="filling.", dir=directory()))
    try:
        yield work
        target.parent.mkdir(parents=True, exist_ok=True)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run(*command: str, cwd: Path | None = None, **environment: str) -> None:
    """Run an installer step, its output on standard error. Raises CalledProcessError."""
    print("+", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(
        command,
        check=True,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        env={**os.environ, **environment},
    )
