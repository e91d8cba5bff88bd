"""pull: take over what another archive holds, from a peer by DIMSE or from a DICOMweb server."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from bridge.archive import Archive
from bridge.cli.context import ConfigOption, opened
from bridge.errors import NotFound
from bridge.peers import known


class By(StrEnum):
    """How instances travel from a peer."""

    AUTO = "auto"
    GET = "get"
    MOVE = "move"


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(pull)


def pull(
    source: Annotated[str, typer.Option("--from", help="Name of a peer, or of a web destination")],
    study: Annotated[str, typer.Option(metavar="UID", help="Only this study")] = "",
    patient: Annotated[str, typer.Option(metavar="ID", help="Only studies of this patient ID")] = "",
    since: Annotated[str, typer.Option(metavar="DATE", help="Only studies of this day and later: 2026-03-05")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="... up to this day; default: today")] = "",
    modality: Annotated[list[str] | None, typer.Option(help="Only series of this modality; may be repeated")] = None,
    by: Annotated[By, typer.Option(help="From a peer: C-GET, C-MOVE, or C-GET where it is offered")] = By.AUTO,
    destination: Annotated[
        str, typer.Option(metavar="AE", help="By C-MOVE: our AE title as the peer knows it; default: dimse.ae_title")
    ] = "",
    site: Annotated[str, typer.Option(help="The site the instances belong to; default: the peer's")] = "",
    parallel: Annotated[int, typer.Option(min=0, max=64, help="Parts at a time; default: pull.parallel")] = 0,
    thorough: Annotated[bool, typer.Option(help="Compare studies by UID even when the counts agree")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only list what would be fetched")] = False,
    config: ConfigOption = None,
) -> None:
    """Take over studies from another archive. Run it again after a break: what is archived already is skipped."""
    with opened(config, first=True) as archive:
        module = _module(archive, source)
    texts = {
        "study": study, "patient": patient, "since": since, "until": until, "by": by.value,
        "destination": destination, "site": site, "parallel": str(parallel), "config": str(config or ""),
    }  # fmt: skip
    command = [sys.executable, "-m", module, source]
    command += [f"--{name}={value}" for name, value in texts.items() if value]
    command += [f"--modality={value}" for value in modality or ()]
    command += ["--thorough"] * thorough + ["--dry-run"] * dry_run
    os.execv(sys.executable, command)  # noqa: S606  # by name: the hall never imports a door


def _module(archive: Archive, source: str) -> str:
    """The door that speaks with it. Raises NotFound."""
    if known(archive).named(source) is not None:
        return "scp.pull"
    if any(destination.name == source for destination in archive.settings.web_destinations):
        return "dicomweb.pull"
    raise NotFound(f"there is no peer and no web destination named {source!r}; `dicom-bridge peers list` shows peers")
