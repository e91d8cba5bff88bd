"""Every setting is explained with its true default, and every example of one would load."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml

from bridge import config, settings
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([a-z0-9_.]+)` \| (.+?) \| (s|bytes)? *\| (.+) \|$", re.MULTILINE)
ROWS = {name: (default, unit or "", meaning) for name, default, unit, meaning in ROW.findall(PAGE.read_text())}
BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNITS = {"_s": "s", "_bytes": "bytes"}


def shown(value: object) -> str:
    """A default as the page writes it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"`{text}`" if text else "empty"


def defaults() -> Iterator[tuple[str, str]]:
    """Every setting and what the page should say its default is."""
    made = settings.Settings(node="the host name")
    for name in config.known_names():
        value: object = made
        for part in name.split("."):
            value = getattr(value, part)
        yield name, "the host name" if name == "node" else shown(value)
    for table, cls in (
        ("peers", settings.Peer), ("ae_titles", settings.CalledTitle), ("forward_rules", settings.ForwardRule),
        ("web_destinations", settings.WebDestination),
    ):  # fmt: skip
        for item in fields(cls):
            yield f"{table}.{item.name}", "required" if item.default is MISSING else shown(item.default)


@pytest.mark.parametrize(("name", "default"), list(defaults()))
def test_a_setting_has_a_row_with_its_default_and_unit(name: str, default: str) -> None:
    unit = next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")
    assert name in ROWS, f"docs/configuration.md needs a row: | `{name}` | {default} | {unit} | what it does |"
    assert ROWS[name][:2] == (default, unit)


def test_no_row_outlives_its_setting() -> None:
    assert set(ROWS) == {name for name, _ in defaults()}


def test_every_example_in_the_documents_loads(tmp_path: Path) -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    examples = [block for page in pages for block in BLOCK.findall(page.read_text())]
    assert examples
    for number, example in enumerate(examples):
        tomllib.loads(example)
        path = tmp_path / f"{number}.toml"
        path.write_text(example)
        config.load(path, {})


def test_compose_uses_only_known_settings() -> None:
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"].values()
    used = {name for service in services for name in service.get("environment", {}) if name.startswith(config.PREFIX)}
    known = {config.environment_name(name) for name in config.known_names()}
    assert used
    assert {name.removesuffix("_FILE") for name in used} <= known


def test_the_image_uses_only_known_settings() -> None:
    used = set(re.findall(rf"({config.PREFIX}[A-Z0-9_]+)=", (REPOSITORY / "Dockerfile").read_text()))
    assert used
    assert used <= {config.environment_name(name) for name in config.known_names()}
