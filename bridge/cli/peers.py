"""peers: the application entities that we know, and those that were turned away."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from typing import Annotated

import orjson
import typer
from rich.table import Table

from bridge.archive import Archive
from bridge.cli.context import ConfigOption, console, opened
from bridge.errors import ConfigError, NotFound
from bridge.passcodes import entry
from bridge.peers import keep, known
from bridge.settings import Peer

peers = typer.Typer(help="Application entities of the DIMSE door.", no_args_is_help=True)
_SETTINGS = tuple(item.name for item in fields(Peer) if item.name != "name")
_SHOWN = ("ae_title", "addresses", "site", "services", "users")  # have a column of their own, or are secret
NameArgument = Annotated[str, typer.Argument(help="What we call it")]
ValuesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE ...", help=f"{', '.join(_SETTINGS)}; lists are separated by commas"),
]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(peers, name="peers")


@peers.command()
def add(name: NameArgument, values: ValuesArgument = None, config: ConfigOption = None) -> None:
    """Make a peer known to all boxes; the doors notice it by themselves."""
    with opened(config, first=True) as archive:
        if known(archive).named(name) is not None:
            raise ConfigError(f"there is a peer {name!r} already; change it with `dicom-bridge peers set`")
        keep(archive, name, _given(values), at=archive.now())
    console.print(f"added {name}")


@peers.command(name="set")
def change(name: NameArgument, values: ValuesArgument = None, config: ConfigOption = None) -> None:
    """Change settings of a peer that was added; KEY= puts one back to its default."""
    with opened(config) as archive:
        given = _given(values)
        changed = {**_kept(archive, name), **given}
        keep(archive, name, {key: value for key, value in changed.items() if value != ""}, at=archive.now())
    console.print(f"changed {name}")


@peers.command()
def remove(name: NameArgument, config: ConfigOption = None) -> None:
    """Forget a peer that was added. Associations that are open stay open."""
    with opened(config) as archive:
        _kept(archive, name)
        archive.registry.remove_peer(name)
    console.print(f"removed {name}")


@peers.command()
def user(
    name: NameArgument,
    user_name: Annotated[str, typer.Argument(metavar="USER", help="Who may use the peer")],
    config: ConfigOption = None,
    no_passcode: Annotated[bool, typer.Option("--no-passcode", help="The name alone is enough")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Forget this user")] = False,
) -> None:
    """Ask a peer for user identity: associations must name one of its users. The passcode is asked for, or read."""
    with opened(config) as archive:
        values = _kept(archive, name)
        others = [one for one in _listed(values.get("users")) if one.partition(":")[0] != user_name]
        if not drop:
            others.append(entry(user_name, None if no_passcode else _passcode()))
        changed = {**values, "users": others} if others else {key: values[key] for key in values if key != "users"}
        keep(archive, name, changed, at=archive.now())
    console.print(f"{'dropped' if drop else 'set'} {user_name} of {name}")


@peers.command(name="list")
def list_peers(config: ConfigOption = None) -> None:
    """Known peers, and when each last delivered something."""
    table = Table("name", "AE title", "addresses", "site", "services", "more", "from", "last received", "instances")
    with opened(config) as archive:
        seen = {traffic.ae_title: traffic for traffic in reversed(archive.registry.traffic())}
        for peer in known(archive).peers:
            traffic = seen.pop(peer.ae_title, None)
            last = traffic.last_received_at.isoformat(timespec="seconds") if traffic else "never"
            table.add_row(
                peer.name, peer.ae_title, " ".join(peer.addresses) or "anywhere", peer.site or "any",
                " ".join(peer.services), _more(peer), "file" if peer in archive.settings.peers else "index", last,
                str(traffic.instances if traffic else 0),
            )  # fmt: skip
        for traffic in seen.values():
            last = traffic.last_received_at.isoformat(timespec="seconds")
            table.add_row(
                "(not known)", traffic.ae_title, traffic.address, "", "", "", "", last, str(traffic.instances)
            )
    console.print(table)


@peers.command()
def refused(config: ConfigOption = None) -> None:
    """Callers that were turned away, and what would allow each: a command, or lines of the configuration."""
    with opened(config) as archive:
        rows = archive.registry.refused()
    if not rows:
        console.print("nobody was refused")
    for row in rows:
        last = row.last_at.isoformat(timespec="seconds")
        print(f"{row.calling_ae_title} calling {row.called_ae_title} from {row.address}: {row.reason}")
        print(f"  {row.times} times, last at {last}; to allow it on all boxes:")
        name, title = _peer_name(row.calling_ae_title), shlex.quote(f"ae_title={row.calling_ae_title}")
        print(f"  dicom-bridge peers add {name} {title} addresses={row.address}")
        print("  or add to the configuration:")
        print("  [[peers]]")
        print(f"  name = {_toml(_peer_name(row.calling_ae_title))}")
        print(f"  ae_title = {_toml(row.calling_ae_title)}")
        print(f"  addresses = [{_toml(row.address)}]")


@peers.command(name="test")
def try_peer(name: NameArgument, config: ConfigOption = None) -> None:
    """Call a peer, send an echo, and say in words how far that went. Exit code 1 when it failed."""
    with opened(config) as archive:
        if known(archive).named(name) is None:
            raise NotFound(f"there is no peer named {name!r}; `dicom-bridge peers list` shows all")
    command = [sys.executable, "-m", "scp.trial", name]  # by name: the hall never imports a door
    if config is not None:
        command += ["--config", str(config)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603  # our own interpreter and module


def _passcode() -> str:
    """From a person, twice; or a line of what is piped in."""
    if sys.stdin.isatty():
        return str(typer.prompt("passcode", hide_input=True, confirmation_prompt=True))
    passcode = sys.stdin.readline().rstrip("\n")
    if not passcode:
        raise ConfigError("the passcode is empty; --no-passcode asks for none")
    return passcode


def _listed(value: object) -> list[str]:
    """A list of settings, however it was given."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(one) for one in value] if isinstance(value, list) else []


def _given(values: list[str] | None) -> dict[str, object]:
    given: dict[str, object] = {}
    for text in values or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{text!r} is not KEY=VALUE; the keys are {', '.join(_SETTINGS)}")
        given[key.strip()] = value.strip()
    return given


def _kept(archive: Archive, name: str) -> dict[str, object]:
    """What was set of a peer of the index. Raises ConfigError for one of the file, NotFound."""
    for definition in archive.registry.kept_peers():
        if definition.name == name:
            values: dict[str, object] = orjson.loads(definition.definition)
            return values
    if any(peer.name == name for peer in archive.settings.peers):
        raise ConfigError(f"the peer {name!r} is in {archive.settings.file}; change it there")
    raise NotFound(f"there is no peer named {name!r}; `dicom-bridge peers list` shows all")


def _more(peer: Peer) -> str:
    """What else is not as by default, in the words of `peers set`."""
    said = []
    for item in fields(Peer):
        value = getattr(peer, item.name)
        if item.name not in ("name", *_SHOWN) and value != item.default:
            said.append(f"{item.name}={','.join(value) if isinstance(value, tuple) else value}")
    return " ".join(said)


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's (TOML 1.0, String)."""
    return json.dumps(text, ensure_ascii=False)


def _peer_name(ae_title: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", ae_title.lower()).strip("-") or "peer"
