"""What `python -m scp.pull` and `python -m dicomweb.pull` share: options, progress, the summary, the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bridge import logs
from bridge.archive import Archive, open_archive
from bridge.config import load
from bridge.errors import BridgeError, ConfigError, Unavailable
from bridge.pulling.pull import Planned, Pull, Summary
from bridge.pulling.remote import Barred, Refused, Source, Unreachable
from bridge.pulling.selection import Selection, selection
from bridge.retention.base import zone_named
from bridge.settings import Pull as PullSettings
from storage.errors import StorageError, StorageUnavailable
from storage.keys import SITE

_LISTED = 50  # failures that are printed one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed, checked as far as it can be without the archive."""

    name: str
    config: Path | None
    site: str
    by: str
    destination: str
    is_dry: bool
    is_thorough: bool
    parallel: int


def main(program: str, open_source: Callable[[Archive, Options], Source], arguments: list[str] | None) -> int:
    """One run; returns the exit code of the command line (docs/cli.md)."""
    parsed = _parser(program).parse_args(arguments)
    try:
        settings = load(parsed.config)
        logs.set_up(settings)
        _check(settings.pull)
        archive = open_archive(settings)
        try:
            options = _options(parsed, archive)
            return _run(archive, open_source(archive, options), options, _selection(parsed, archive))
        finally:
            archive.close()
    except (Barred, Refused, Unreachable) as error:
        print(f"{parsed.name}: {error}; what came is kept, the same command goes on from here", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what came is kept, the same command goes on from here", file=sys.stderr)
        return 1
    except (BridgeError, StorageError) as error:
        print(f"dicom-bridge: {error}", file=sys.stderr)
        if isinstance(error, ConfigError):
            return 2
        return 3 if isinstance(error, (Unavailable, StorageUnavailable)) else 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description="Pull studies from another archive.")
    parser.add_argument("name", help="the peer's or web destination's name")
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    for name in ("study", "patient", "since", "until", "site", "destination"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--modality", action="append", default=[])
    parser.add_argument("--by", choices=("auto", "get", "move"), default="auto")
    parser.add_argument("--parallel", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--thorough", action="store_true")
    return parser


def _check(settings: PullSettings) -> None:
    """Raises ConfigError for a setting with which nothing could be pulled."""
    for name in ("parallel", "instances_per_request", "window_days", "page_results", "attempts"):
        if getattr(settings, name) < 1:
            raise ConfigError(f"pull.{name} must be at least 1")


def _options(parsed: argparse.Namespace, archive: Archive) -> Options:
    if parsed.site and not SITE.fullmatch(parsed.site):
        raise ConfigError(f"{parsed.site!r} is not a site: lower-case letters, digits, - and _")
    return Options(
        name=parsed.name,
        config=parsed.config,
        site=parsed.site,
        by=parsed.by,
        destination=parsed.destination,
        is_dry=parsed.dry_run,
        is_thorough=parsed.thorough,
        parallel=parsed.parallel or archive.settings.pull.parallel,
    )


def _selection(parsed: argparse.Namespace, archive: Archive) -> Selection:
    today = archive.now().astimezone(zone_named(archive.settings.retention.timezone)).date()
    return selection(
        study=parsed.study,
        patient=parsed.patient,
        since=parsed.since,
        until=parsed.until,
        modalities=tuple(parsed.modality),
        today=today,
    )


def _run(archive: Archive, source: Source, options: Options, wanted: Selection) -> int:
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=options.is_dry) as bar:
        watcher = _Bar(bar, options.name)
        pull = Pull(
            archive,
            source,
            watcher,
            site=source.site,
            parallel=options.parallel,
            thorough=options.is_thorough,
        )
        try:
            if options.is_dry:
                console.print(_listed(pull.plan(wanted)))
            else:
                pull.run(wanted)
        finally:
            bar.stop()
            _tell(console, pull.summary, missing=watcher.missing if options.is_dry else None)
    return 1 if pull.summary.failures else 0


class _Bar:
    """The progress bar: instances, of those that are known to be missing so far."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(f"pulling from {name}", total=0)
        self.missing = 0

    def planned(self, study: Planned) -> None:
        """See Watcher."""
        self.missing += study.missing
        self._bar.update(self._task, total=self.missing)

    def arrived(self, count: int) -> None:
        """See Watcher."""
        self._bar.advance(self._task, count)


def _listed(plans: Iterable[Planned]) -> Table:
    """What a dry run shows: no names, no patient IDs."""
    table = Table("study", "date", "modalities", "archived", "to fetch")
    for planned in plans:
        study = planned.study
        modalities = " ".join(study.modalities)
        table.add_row(
            study.study_instance_uid, study.study_date, modalities, str(planned.archived), str(planned.missing)
        )
    return table


def _tell(console: Console, summary: Summary, *, missing: int | None) -> None:
    """The summary; `missing` in a dry run."""
    for what, why in list(summary.failures.items())[:_LISTED]:
        console.print(f"{what}: {why}", style="yellow", soft_wrap=True, highlight=False, markup=False)
    if len(summary.failures) > _LISTED:
        console.print(f"... and {len(summary.failures) - _LISTED} more failures", style="yellow")
    done = f"{summary.fetched} fetched" if missing is None else f"{missing} to fetch"
    console.print(
        f"{summary.studies} studies: {summary.archived} instances were archived already, {done}, "
        f"{len(summary.failures)} failures",
        highlight=False,
        soft_wrap=True,
    )
