"""keys and peers: who may come in by HTTP, who was turned away by DIMSE."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer
from rich.table import Table

from bridge.access import add_key
from bridge.cli.context import ConfigOption, console, opened
from bridge.errors import NotFound

keys = typer.Typer(help="Bearer keys of the HTTP door.", no_args_is_help=True)
peers = typer.Typer(help="Application entities of the DIMSE door.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(keys, name="keys")
    app.add_typer(peers, name="peers")


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Who will use it")],
    config: ConfigOption = None,
    site: Annotated[str, typer.Option(help="The site it opens; default: the settings' site")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="read, write or admin; may be repeated")] = None,
) -> None:
    """Make a key and print its secret, which is never shown again."""
    with opened(config, first=True) as archive:
        secret = add_key(
            archive, name, site=site or archive.settings.site, scopes=tuple(scope or ["read"]), at=archive.now()
        )
    print(secret)


@keys.command(name="list")
def list_keys(config: ConfigOption = None) -> None:
    """All keys, revoked ones too; secrets are not kept."""
    table = Table("name", "site", "scopes", "made", "revoked")
    with opened(config) as archive:
        for key in archive.registry.access_keys():
            revoked = key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else ""
            made = key.created_at.isoformat(timespec="seconds")
            table.add_row(key.name, key.site, " ".join(key.scopes), made, revoked)
    console.print(table)


@keys.command()
def revoke(name: str, config: ConfigOption = None) -> None:
    """Revoke a key at once."""
    with opened(config) as archive:
        if not archive.registry.revoke_key(name, archive.now()):
            raise NotFound(f"there is no live key named {name!r}; `dicom-bridge keys list` shows all")
    console.print(f"revoked {name}")


@peers.command(name="list")
def list_peers(config: ConfigOption = None) -> None:
    """Known peers, and when each last delivered something."""
    table = Table("name", "AE title", "addresses", "site", "services", "last received", "instances")
    with opened(config) as archive:
        seen = {traffic.ae_title: traffic for traffic in reversed(archive.registry.traffic())}
        for peer in archive.settings.peers:
            traffic = seen.pop(peer.ae_title, None)
            last = traffic.last_received_at.isoformat(timespec="seconds") if traffic else "never"
            addresses = " ".join(peer.addresses) or "anywhere"
            count = str(traffic.instances if traffic else 0)
            table.add_row(peer.name, peer.ae_title, addresses, peer.site, " ".join(peer.services), last, count)
        for traffic in seen.values():
            last = traffic.last_received_at.isoformat(timespec="seconds")
            table.add_row("(not configured)", traffic.ae_title, traffic.address, "", "", last, str(traffic.instances))
    console.print(table)


@peers.command()
def refused(config: ConfigOption = None) -> None:
    """Callers that were turned away, and the exact lines that would allow each."""
    with opened(config) as archive:
        rows = archive.registry.refused()
    if not rows:
        console.print("nobody was refused")
    for row in rows:
        last = row.last_at.isoformat(timespec="seconds")
        print(f"{row.calling_ae_title} calling {row.called_ae_title} from {row.address}: {row.reason}")
        print(f"  {row.times} times, last at {last}; to allow it, add to the configuration:")
        print("  [[peers]]")
        print(f"  name = {_toml(_peer_name(row.calling_ae_title))}")
        print(f"  ae_title = {_toml(row.calling_ae_title)}")
        print(f"  addresses = [{_toml(row.address)}]")


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's (TOML 1.0, String)."""
    return json.dumps(text, ensure_ascii=False)


def _peer_name(ae_title: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", ae_title.lower()).strip("-") or "peer"
