"""A background process of a node from its options to its exit code: settings, logs, archive, work, and the end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bridge import logs, steady
from bridge.archive import Archive, open_archive
from bridge.config import load
from bridge.errors import ConfigError
from storage.errors import StorageError

Work = Callable[[], None]  # returns when the process is told to stop


def run(
    module: str, description: str, prepare: Callable[[Archive], Work], arguments: list[str] | None, *, called: str
) -> int:
    """Be `python -m module`; returns the exit code. What hinders the start is one sentence, about `called`."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.config)
        logs.set_up(settings)
        archive = open_archive(settings)
        work = prepare(archive)
    except (ConfigError, StorageError, OSError) as error:
        print(f"{called} cannot start: {error}", file=sys.stderr)
        return 1
    steady.settle()
    try:
        work()
    finally:
        archive.close()
    return 0
