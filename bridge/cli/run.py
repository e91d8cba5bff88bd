"""serve, worker, migrate: the long-running processes and what must run before them."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from bridge import logs, reach, service_user, worker
from bridge.archive import open_archive
from bridge.cli.context import ConfigOption, console, ensure_bucket, migrate_schema, opened, prepare, read_settings
from bridge.config import load
from bridge.errors import ConfigError
from bridge.forwarding.rules import check as check_rules
from bridge.forwarding.rules import targets as rule_targets
from bridge.peers import known
from bridge.service_user import User
from bridge.settings import Settings
from bridge.supervisor import become, check_exposure


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(serve)
    app.command(name="worker", hidden=True)(run_worker)
    app.command()(migrate)


def serve(config: ConfigOption = None) -> None:
    """Start the doors and the worker, and keep them alive until SIGTERM or Ctrl-C."""
    settings = load(config)
    user = service_user.door_user(settings)
    if user is not None and os.geteuid() == 0:
        reach.make_folder(settings.storage.directory, user)
    with service_user.acting_as(user):
        if user is not None:
            reach.check(settings, user)
            _read_as(user, config)
        logs.set_up(settings)
        _make_ready(settings)
    become(config)


def _read_as(user: User, config: Path | None) -> None:
    """The doors read the settings again, as this user. Raises ConfigError where it may not."""
    try:
        load(config)
    except ConfigError as error:
        raise ConfigError(f"as the user {user}: {error}") from error


def _make_ready(settings: Settings) -> None:
    """Schema, bucket and rules before any door opens. Raises ConfigError, StorageError."""
    prepare(settings)
    archive = open_archive(settings)
    keys_exist = any(key.revoked_at is None for key in archive.registry.access_keys())
    peers = known(archive).peers
    archive.close()
    check_rules(settings.forward_rules, rule_targets(peers, settings.web_destinations))
    check_exposure(settings, keys_exist=keys_exist, peers_exist=bool(peers))


def run_worker(config: ConfigOption = None) -> None:
    """The background process of a node (started by serve, or alone on a node without doors)."""
    with opened(config) as archive:
        worker.work(archive)


def migrate(config: ConfigOption = None) -> None:
    """Bring the index's schema to this version, make a missing bucket; run it once before a new version's doors."""
    settings = read_settings(config)
    applied = migrate_schema(settings)
    ensure_bucket(settings)
    console.print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
