"""Giving a file its key, and the directories between keys and files; puts and deletes may race for a directory."""

from __future__ import annotations

import os
from pathlib import Path

from storage.errors import InvalidKey, ObjectExists
from storage.objects.local.refusals import NO_PARENT

OPEN_FILES = Path("/proc/self/fd")
RACES = 100  # how often a put may lose its directory to a delete before it gives up


def link(descriptor: int, source: Path | None, target: Path) -> None:
    """Give the open file, called `source` unless it has no name, its key; never over another file.

    A directory that a delete has just removed is made again. Raises ObjectExists, InvalidKey, OSError.
    """
    for attempt in range(RACES):
        try:
            if source is None:  # src_dir_fd makes it linkat, which follows the link to the unnamed file
                os.link(f"{OPEN_FILES}/{descriptor}", target, src_dir_fd=descriptor, follow_symlinks=True)
            else:
                os.link(source, target)
            return
        except FileExistsError:
            raise ObjectExists(target.name) from None
        except OSError as error:
            if error.errno not in NO_PARENT or attempt == RACES - 1:
                raise
            make_directories(target.parent)


def make_directories(directory: Path) -> None:
    """Make `directory` and those above it. It may be gone again at once: callers try again."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        return  # a delete pruned a parent meanwhile
    except (FileExistsError, NotADirectoryError):
        raise InvalidKey("a key may not lie below another object") from None


def prune(directory: Path, top: Path) -> None:
    """Remove directories below `top` that are empty, from `directory` upwards.

    One that a put fills at this moment is left alone, or made again by it.
    """
    while directory != top:
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent
