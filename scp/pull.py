"""`python -m scp.pull PEER`: pull studies from a DICOM archive; started by `dicom-bridge pull`."""

from __future__ import annotations

import sys

from bridge.archive import Archive
from bridge.errors import ConfigError, NotFound
from bridge.peers import known
from bridge.pulling import running
from bridge.pulling.running import Options
from scp.remote_archive import RemoteArchive, titled
from scp.scu import remote_of


def main(arguments: list[str] | None = None) -> int:
    """One run; returns the exit code."""
    return running.main("scp.pull", opened, arguments)


def opened(archive: Archive, options: Options) -> RemoteArchive:
    """The peer as a source. Raises NotFound, or ConfigError when nobody knows where it listens."""
    peer = known(archive).named(options.name)
    if peer is None:
        raise NotFound(f"there is no peer named {options.name!r}; `dicom-bridge peers list` shows all")
    remote = remote_of(peer)
    if remote is None:
        raise ConfigError(
            f"we do not know where {peer.name} listens: dicom-bridge peers set {peer.name} host=... port=..."
        )
    return RemoteArchive(
        archive,
        peer,
        remote,
        site=options.site or peer.site or archive.settings.site,
        by=options.by,
        destination=titled(archive, options.destination),
    )


if __name__ == "__main__":
    sys.exit(main())
