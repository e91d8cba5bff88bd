"""serve, worker, migrate: the long-running processes and what must run before them."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import typer
from storage.objects.s3 import S3Store

from bridge import worker
from bridge.archive import index_url, open_archive, s3_settings
from bridge.cli.context import ConfigOption, console, opened, read_settings
from bridge.config import Settings
from bridge.errors import ConfigError
from bridge.supervisor import check_exposure, supervise
from storage.errors import StorageUnavailable
from storage.index import migrate as migrate_index


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(serve)
    app.command(name="worker", hidden=True)(run_worker)
    app.command()(migrate)


def serve(config: ConfigOption = None) -> None:
    """Start the doors and the worker, and keep them alive until SIGTERM or Ctrl-C."""
    settings = read_settings(config)
    prepare(settings)
    archive = open_archive(settings)
    keys_exist = any(key.revoked_at is None for key in archive.registry.access_keys())
    archive.close()
    check_exposure(settings, keys_exist=keys_exist)
    raise typer.Exit(supervise(settings, config))


def run_worker(config: ConfigOption = None) -> None:
    """The background process of a node (started by serve, or alone on a node without doors)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(config) as archive:
        worker.run(archive, stop)


def migrate(config: ConfigOption = None) -> None:
    """Bring the index's schema to this version; run once before the doors of a new version start."""
    settings = read_settings(config)
    applied = _migrate(settings)
    console.print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


def prepare(settings: Settings) -> None:
    """What a single box needs no extra step for: the embedded index's schema, the bucket."""
    if settings.storage.hot == "memory":
        raise ConfigError("storage.hot = memory forgets everything and cannot be served; use local or s3")
    if settings.index.url == "sqlite":
        _migrate(settings)
    if settings.storage.hot == "s3":
        _ensure_bucket(settings)


def _migrate(settings: Settings) -> list[str]:
    Path(settings.storage.directory).mkdir(parents=True, exist_ok=True)
    return migrate_index(index_url(settings), password=settings.index.password)


def _ensure_bucket(settings: Settings) -> None:
    """A store that is away at start is no reason not to receive: landing takes over and the worker delivers later."""
    store = S3Store(s3_settings(settings))
    try:
        store.ensure_bucket()
    except StorageUnavailable as error:
        console.print(f"the object store is away ({error}); instances will be landed", style="yellow")
    finally:
        store.close()
