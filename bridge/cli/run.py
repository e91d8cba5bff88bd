"""serve, worker, migrate: the long-running processes and what must run before them."""

from __future__ import annotations

import typer

from bridge import worker
from bridge.archive import open_archive
from bridge.cli.context import ConfigOption, console, ensure_bucket, migrate_schema, opened, prepare, read_settings
from bridge.forwarding.rules import check as check_rules
from bridge.forwarding.rules import targets as rule_targets
from bridge.peers import known
from bridge.supervisor import become, check_exposure


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
    peers = known(archive).peers
    archive.close()
    check_rules(settings.forward_rules, rule_targets(peers, settings.web_destinations))
    check_exposure(settings, keys_exist=keys_exist, peers_exist=bool(peers))
    become(config)


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
