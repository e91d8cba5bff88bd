"""`python -m scp`: one process of the DIMSE door, on its own port or on a socket that it inherits."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from pathlib import Path

from bridge import logs, steady
from bridge.archive import open_archive
from bridge.config import load
from bridge.errors import ConfigError
from bridge.settings import Settings
from bridge.supervisor import open_dimse_sockets
from scp.server import Server
from storage.errors import StorageError

_LOG = logging.getLogger("scp")


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scp", description="The DIMSE door of the DICOMweb bridge.")
    parser.add_argument("--fd", type=int, help="descriptor of a listening socket to use, instead of opening one")
    parser.add_argument("--tls-fd", type=int, help="the same, for DICOM over TLS")
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.config)
        logs.set_up(settings)
        listening, over_tls = _sockets(settings, options.fd, options.tls_fd)
        archive = open_archive(settings)
    except (ConfigError, StorageError, OSError) as error:
        print(f"the DIMSE door cannot open: {error}", file=sys.stderr)
        return 1
    try:
        server = Server(archive, listening, over_tls=over_tls)
    except ConfigError as error:
        print(f"the DIMSE door cannot open: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    signal.signal(signal.SIGHUP, lambda *_: server.look_again())
    _LOG.info("DIMSE door open on %s:%d", *server.address)
    steady.settle()
    server.run()
    archive.close()
    return 0


def _sockets(
    settings: Settings, descriptor: int | None, tls_descriptor: int | None
) -> tuple[socket.socket | None, socket.socket | None]:
    """The inherited sockets; without any, those of the settings. Raises ConfigError, OSError."""
    if descriptor is None and tls_descriptor is None:
        return open_dimse_sockets(settings)
    plain, over_tls = (None if one is None else socket.socket(fileno=one) for one in (descriptor, tls_descriptor))
    return plain, over_tls


if __name__ == "__main__":
    sys.exit(main())
