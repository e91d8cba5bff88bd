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

from bridge import logs, reach
from bridge.archive import Archive, index_url, open_archive, prepare_store
from bridge.config import load
from bridge.errors import BridgeError, ConfigError, NotOnline, Unavailable
from bridge.folders import make_directory
from bridge.settings import Settings
from storage.errors import SchemaMismatch, StorageError, StorageUnavailable
from storage.index import migrate as migrate_index
from storage.records import Origin

ERRORS = (BridgeError, StorageError)
console = Console()
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The TOML file; default $BRIDGE_CONFIG, then ./bridge.toml")
]


def fail(error: Exception) -> int:
    """Print the error as one sentence on standard error; the exit code that fits it."""
    print(f"dicom-bridge: {error}", file=sys.stderr)
    if isinstance(error, (Unavailable, NotOnline, StorageUnavailable)):
        return 3
    return 2 if isinstance(error, (ConfigError, SchemaMismatch)) else 1


def read_settings(config: Path | None) -> Settings:
    """The settings, with logging set up by them; root becomes the service user first. Raises ConfigError."""
    settings = load(config)
    reach.take_over(settings)
    logs.set_up(settings)
    return settings


@contextmanager
def opened(config: Path | None, *, first: bool = False) -> Iterator[Archive]:
    """The archive of the settings, closed at the end; `first`: this verb may be the first one ever used on it."""
    settings = read_settings(config)
    if first:
        prepare(settings)
    archive = open_archive(settings)
    try:
        yield archive
    finally:
        archive.close()


def prepare(settings: Settings) -> None:
    """What a single box needs no extra step for: the embedded index's schema, the bucket."""
    if settings.storage.hot == "memory":
        raise ConfigError("storage.hot = memory forgets everything and cannot be served; use local or s3")
    if settings.index.url == "sqlite":
        migrate_schema(settings)
    ensure_bucket(settings)


def migrate_schema(settings: Settings) -> list[str]:
    """Bring the index's schema to this version; the names of the migrations applied."""
    make_directory(Path(settings.storage.directory))
    return migrate_index(index_url(settings), password=settings.index.password)


def ensure_bucket(settings: Settings) -> None:
    """A store that is away at start is no reason not to receive: landing takes over and the worker delivers later."""
    try:
        prepare_store(settings)
    except StorageUnavailable as error:
        console.print(f"the object store is away ({error}); instances will be landed", style="yellow")


def origin() -> Origin:
    """Who types the command."""
    return Origin(door="CLI", name=getpass.getuser(), address="local")
