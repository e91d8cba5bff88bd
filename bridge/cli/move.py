"""ingest: import folders of DICOM files through the same verb as the doors.

It can be broken off and run again: a data set that is archived already is skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.archive import Archive
from bridge.arrival import ingest_file
from bridge.cli.context import ConfigOption, console, opened, origin
from bridge.errors import BridgeError, ConfigError, OutOfResources, Unavailable
from storage.keys import SITE

_IN_FLIGHT = 32  # files handed to the threads at once


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(ingest)


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders; folders are walked")],
    config: ConfigOption = None,
    site: Annotated[str, typer.Option(help="The site the instances belong to; default: the settings' site")] = "",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Files at a time")] = 4,
) -> None:
    """Import DICOM files and folders. Run it again after a break: what is archived already is skipped."""
    files = sorted(_walk(paths))
    with opened(config, first=True) as archive:
        site = site or archive.settings.site
        if not SITE.fullmatch(site):
            raise ConfigError(f"{site!r} is not a site: lower-case letters, digits, - and _")
        outcomes, problems = _import(archive, files, site, threads)
    for problem in problems:
        console.print(problem, style="yellow", soft_wrap=True, highlight=False, markup=False)
    console.print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "no files")
    if problems:
        raise typer.Exit(1)


def _walk(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (below for below in path.rglob("*") if below.is_file())
        elif path.is_file():
            yield path
        else:
            raise ConfigError(f"{path} does not exist")


def _import(archive: Archive, files: list[Path], site: str, threads: int) -> tuple[Counter[str], list[str]]:
    outcomes: Counter[str] = Counter()
    problems: list[str] = []
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar, ThreadPoolExecutor(threads) as pool:
        task = bar.add_task("importing", total=len(files))
        pending: set[Future[str]] = set()
        try:
            for path in files:
                pending.add(pool.submit(_import_one, archive, path, site, problems))
                if len(pending) >= _IN_FLIGHT:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    _count(done, outcomes)
                    bar.advance(task, len(done))
            done, pending = wait(pending)
            _count(done, outcomes)
            bar.advance(task, len(done))
        except (OutOfResources, Unavailable):
            for future in pending:
                future.cancel()
            raise
    return outcomes, problems


def _count(done: set[Future[str]], outcomes: Counter[str]) -> None:
    outcomes.update(future.result() for future in done)


def _import_one(archive: Archive, path: Path, site: str, problems: list[str]) -> str:
    try:
        return ingest_file(archive, path, site=site, origin=origin()).outcome.value
    except (OutOfResources, Unavailable):
        raise  # no use in going on: the next file would meet the same
    except (BridgeError, OSError) as error:
        problems.append(f"{path}: {error}")
        return "refused"
