"""What the verbs of the command line share: reading settings, opening the archive, printing, failing well."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bridge import logs
from bridge.archive import Archive, open_archive
from bridge.config import Settings, load
from bridge.errors import BridgeError, ConfigError, NotOnline, Unavailable
from storage.errors import SchemaMismatch, StorageError, StorageUnavailable
from storage.records import Origin

ERRORS = (BridgeError, StorageError)
console = Console()
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The TOML file; default $BRIDGE_CONFIG, then ./bridge.toml")
]


def fail(error: Exception) -> int:
    """Print the error as one sentence on standard error; the exit code that fits it."""
    hint = "; run `dicom-bridge migrate`" if isinstance(error, SchemaMismatch) else ""
    print(f"dicom-bridge: {error}{hint}", file=sys.stderr)
    if isinstance(error, (Unavailable, NotOnline, StorageUnavailable)):
        return 3
    return 2 if isinstance(error, (ConfigError, SchemaMismatch)) else 1


def read_settings(config: Path | None) -> Settings:
    """The settings, with logging set up by them. Raises ConfigError."""
    settings = load(config)
    logs.set_up(settings)
    return settings


@contextmanager
def opened(config: Path | None) -> Iterator[Archive]:
    """The archive of the settings, closed at the end."""
    archive = open_archive(read_settings(config))
    try:
        yield archive
    finally:
        archive.close()


def origin() -> Origin:
    """Who types the command."""
    return Origin(door="CLI", name=getpass.getuser(), address="local")
