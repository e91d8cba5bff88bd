"""The data folder: made once, closed to other users of the machine, because the index has names of patients."""

from __future__ import annotations

from pathlib import Path

DIRECTORY_MODE = 0o750  # the group may read: backups


def make_directory(directory: Path) -> None:
    """A data folder that is not there yet; one that is there is left as it is."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
