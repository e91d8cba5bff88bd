"""The command line (`dicom-bridge`): every verb an administrator needs. Errors are one sentence and an exit code.

Exit codes: 0 done; 1 the work found something wrong (a doctor's finding, a damaged object); 2 wrong usage or setting;
3 the index or a store is away.
"""

from __future__ import annotations

import sys

import typer

from bridge.cli import access, commitments, conflicts, forward, health, move, peers, pull, run, settings
from bridge.cli.context import ERRORS, fail

app = typer.Typer(
    name="dicom-bridge",
    help="A DICOMweb/PACS bridge: receives by C-STORE, keeps every byte safe, answers QIDO-RS and WADO-RS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (run, move, pull, health, settings, access, peers, conflicts, commitments, forward):
    module.register(app)


def main() -> None:
    """Entry point: runs a verb and turns what went wrong into one sentence."""
    try:
        app()
    except ERRORS as error:
        sys.exit(fail(error))
