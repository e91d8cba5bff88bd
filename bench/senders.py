"""Feeding a server by C-STORE with DCMTK's storescu, one process an association."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.target import Target

SYSTEM_FOLDERS = "/usr/local/bin:/usr/bin:/bin"  # not PATH: a virtual environment holds a slow namesake of storescu


def write_files(folder: Path, files: Iterable[bytes | bytearray], shares: int) -> list[Path]:
    """Deal the files out into `shares` sub-folders, as 000000.dcm onwards; returns the sub-folders."""
    folders = [folder / f"share{number}" for number in range(shares)]
    for path in folders:
        path.mkdir(parents=True)
    for number, content in enumerate(files):
        (folders[number % shares] / f"{number:06d}.dcm").write_bytes(content)
    return folders


def push(target: Target, folders: Sequence[Path], options: Sequence[str] = ()) -> float:
    """Send each folder over an association of its own, all at once; returns seconds. Raises RuntimeError.

    `options` go to storescu, such as the transfer syntax it proposes.
    """
    program = shutil.which("storescu", path=SYSTEM_FOLDERS)
    if program is None:
        raise RuntimeError("DCMTK's storescu is not installed")
    environment = os.environ | {"TCP_NODELAY": "1"}
    begin = time.perf_counter()
    processes = [
        subprocess.Popen(
            [program, "-aet", "BENCH", "-aec", target.ae_title, *options, "+sd",
             target.host, str(target.port), str(folder)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for folder in folders
    ]  # fmt: skip
    errors = [process.communicate()[1].decode(errors="replace") for process in processes]
    elapsed = time.perf_counter() - begin
    for process, error in zip(processes, errors, strict=True):
        if process.returncode or "E:" in error:
            raise RuntimeError(f"storescu to {target.name} ended with {process.returncode}: {error[:500]}")
    return elapsed
