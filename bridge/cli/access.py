"""keys: who may come in by HTTP."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bridge.access import add_key
from bridge.cli.context import ConfigOption, console, opened
from bridge.errors import NotFound

keys = typer.Typer(help="Bearer keys of the HTTP door.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(keys, name="keys")


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
