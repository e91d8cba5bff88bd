"""config show|check: what is set, and where it came from."""

from __future__ import annotations

import typer
from rich.table import Table

from bridge.addresses import is_loopback
from bridge.cli.context import ConfigOption, console
from bridge.config import environment_name, load, shown
from bridge.peers import roster
from bridge.supervisor import check_packages

config_verbs = typer.Typer(help="The settings.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(config_verbs, name="config")


@config_verbs.command()
def show(config: ConfigOption = None) -> None:
    """Every setting with its value and where it came from; secrets are masked."""
    settings = load(config)
    table = Table("setting", "value", "from", "environment variable")
    for name, value, source in shown(settings):
        table.add_row(name, value, source, environment_name(name))
    console.print(table)
    for peer in settings.peers:
        console.print(f"peer {peer.name}: {peer.ae_title} from {', '.join(peer.addresses) or 'anywhere'}")


@config_verbs.command()
def check(config: ConfigOption = None) -> None:
    """Read the settings and say whether they can work; exit code 2 if not."""
    settings = load(config)
    check_packages()
    roster(settings, ())
    if not is_loopback(settings.http.host) and not settings.http.tls_certificate:
        console.print("http listens beyond loopback without TLS: put a TLS proxy in front", style="yellow")
    console.print("the settings are usable")
