"""What a test needs to run the bridge as another user: to be root, a folder and a program within their reach."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER, OTHER = "nobody", "daemon"  # of every Linux
# In a mount namespace of its own, so that the machine stays as it is: the closed folder shows the interpreter alone.
_OPEN_UP = """
mount --bind "$2" "$3" && mount -t tmpfs -o mode=755 tmpfs "$1" && mkdir -p "$2" && mount --bind "$3" "$2" || exit 99
shift 3
exec "$@"
"""


def skip_unless_root() -> None:
    """Only root may become somebody else."""
    if os.geteuid() != 0:
        pytest.skip("only root can start the bridge as another user")


@contextlib.contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-user-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def reachable(folder: Path) -> tuple[str, ...]:
    """The start of a command by which everybody can run this interpreter, even one inside root's home."""
    interpreter = Path(sys.base_prefix).resolve()
    closed = next((one for one in reversed(interpreter.parents) if not one.stat().st_mode & stat.S_IXOTH), None)
    if closed is None:
        return ()
    (folder / "python").mkdir()
    through = ("unshare", "--mount", "sh", "-c", _OPEN_UP, "sh", str(closed), str(interpreter), str(folder / "python"))
    if subprocess.run([*through, "true"], capture_output=True, timeout=30).returncode != 0:
        pytest.skip(f"{USER} cannot reach {interpreter}, and this machine forbids mounts")
    return through
