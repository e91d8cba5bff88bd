"""Settings: one TOML file + `BRIDGE_SECTION_KEY` environment + `..._FILE` for secrets, read once into frozen values.

An unknown key is an error that names the nearest known one. No file at all is a working single box (DESIGN §8).
This is the only module that reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from bridge.errors import ConfigError
from bridge.settings import CHOICES, Peer, Settings

PREFIX = "BRIDGE_"
_NOT_IN_FILE = ("file", "sources")
# tables that come as often as one likes; they have no environment variables
_LISTED = ("peers", "ae_titles", "forward_rules", "web_destinations")
_T = TypeVar("_T")


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; `path` None looks at BRIDGE_CONFIG, then ./bridge.toml. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    path = path or (Path(environ["BRIDGE_CONFIG"]) if environ.get("BRIDGE_CONFIG") else None)
    if path is None and Path("bridge.toml").is_file():
        path = Path("bridge.toml")
    table = _read_file(path) if path else {}
    sources: dict[str, str] = {name: str(path) for name in _dotted(table)}
    for name, value, source in _from_environment(environ):
        _assign(table, name, value)
        sources[name] = source
    settings = _build(Settings, table, "")
    object.__setattr__(settings, "file", path.absolute() if path else None)
    object.__setattr__(settings, "sources", sources)
    return settings


def peer_from(table: Mapping[str, Any], where: str) -> Peer:
    """A peer from TOML or JSON values; `where` is how errors name it. Raises ConfigError."""
    return _build(Peer, table, f"{where}.")


def known_names(cls: type = Settings, prefix: str = "") -> list[str]:
    """Every setting's dotted name; listed tables, and what is no setting, left out."""
    hints = typing.get_type_hints(cls)
    names: list[str] = []
    for item in fields(cls):
        if item.name in _LISTED + _NOT_IN_FILE:
            continue
        dotted = f"{prefix}{item.name}"
        names += known_names(hints[item.name], f"{dotted}.") if is_dataclass(hints[item.name]) else [dotted]
    return names


def shown(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value, source) of every setting, secrets masked."""
    rows = []
    for name in known_names():
        value: Any = settings
        for part in name.split("."):
            owner, value = value, getattr(value, part)
        secret = next(item for item in fields(owner) if item.name == part).metadata.get("secret")
        rows.append((name, "********" if secret and value else str(value), settings.sources.get(name, "default")))
    return rows


def environment_name(dotted: str) -> str:
    """`storage.s3_bucket` -> `BRIDGE_STORAGE_S3_BUCKET`."""
    return PREFIX + dotted.replace(".", "_").upper()


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigError(f"the configuration file {path} does not exist") from error
    except OSError as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {path} is not valid TOML: {error}") from error


def _dotted(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in table.items():
        names += _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    by_variable = {environment_name(name): name for name in known_names()}
    found = []
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == "BRIDGE_CONFIG":
            continue
        if variable in by_variable:
            found.append((by_variable[variable], value, variable))
        elif variable.removesuffix("_FILE") in by_variable and variable.endswith("_FILE"):
            found.append((by_variable[variable.removesuffix("_FILE")], _read_secret(variable, value), variable))
        else:
            raise ConfigError(f"unknown setting {variable}{_nearest(variable, by_variable)}")
    return found


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{variable} names {path}, which cannot be read: {error.strerror}") from error


def _assign(table: dict[str, Any], dotted: str, value: str) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
    table[last] = value


def _build(cls: type[_T], table: Mapping[str, Any], prefix: str) -> _T:
    hints = typing.get_type_hints(cls)
    known = [name for name in hints if name not in _NOT_IN_FILE]
    values: dict[str, Any] = {}
    for key, value in table.items():
        dotted = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"unknown setting {dotted}{_nearest(dotted, [f'{prefix}{name}' for name in known])}")
        values[key] = _convert(hints[key], value, dotted)
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{prefix.rstrip('.') or 'the configuration'} is incomplete: {error}") from error


def _convert(hint: Any, value: Any, dotted: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{dotted} must be a table")
        return _build(typing.cast(type, hint), value, f"{dotted}.")
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise ConfigError(f"{dotted} must be a list")
        return tuple(_convert(item, entry, f"{dotted}[{number}]") for number, entry in enumerate(items))
    converted = _scalar(hint, value, dotted)
    if dotted in CHOICES and converted not in CHOICES[dotted]:
        raise ConfigError(f"{dotted} is {converted!r}; it may be {', '.join(map(str, CHOICES[dotted]))}")
    if hint in (int, float) and converted < 0:
        raise ConfigError(f"{dotted} must not be negative")
    return converted


def _scalar(hint: Any, value: Any, dotted: str) -> Any:
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if hint is bool:
        text = str(value).lower()
        if text in ("true", "1", "yes", "on"):
            return True
        if text in ("false", "0", "no", "off"):
            return False
        raise ConfigError(f"{dotted} must be true or false")
    if isinstance(value, (bool, list, dict)):
        raise ConfigError(f"{dotted} must be a {hint.__name__}")
    try:
        return hint(value)
    except ValueError as error:
        raise ConfigError(f"{dotted} is {value!r}, which is not a number") from error


def _nearest(name: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; `dicom-bridge config show` lists all"
