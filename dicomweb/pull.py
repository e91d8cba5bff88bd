"""`python -m dicomweb.pull NAME`: pull studies from a DICOMweb server; started by `dicom-bridge pull`."""

from __future__ import annotations

import sys

from bridge.archive import Archive
from bridge.errors import NotFound
from bridge.pulling import running
from bridge.pulling.running import Options
from dicomweb.remote_archive import RemoteArchive


def main(arguments: list[str] | None = None) -> int:
    """One run; returns the exit code."""
    return running.main("dicomweb.pull", opened, arguments)


def opened(archive: Archive, options: Options) -> RemoteArchive:
    """The web destination as a source. Raises NotFound."""
    settings = archive.settings
    for destination in settings.web_destinations:
        if destination.name == options.name:
            return RemoteArchive(archive, destination, site=options.site or settings.site)
    raise NotFound(f"there is no [[web_destinations]] named {options.name!r}")


if __name__ == "__main__":
    sys.exit(main())
