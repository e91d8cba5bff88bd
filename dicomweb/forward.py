"""`python -m dicomweb.forward`: the process that sends to DICOMweb servers; it runs where rules name one."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bridge import logs, steady
from bridge.archive import open_archive
from bridge.config import load
from bridge.errors import ConfigError
from bridge.forwarding.routing import destinations
from bridge.forwarding.running import Forwarder
from bridge.retrieve import Retrieve
from bridge.waking import Wake
from dicomweb.stow_line import courier
from storage.errors import StorageError


def main(arguments: list[str] | None = None) -> int:
    """Carry out orders until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dicomweb.forward", description="Sends finished studies on.")
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    options = parser.parse_args(arguments)
    stop = Wake()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load(options.config)
        logs.set_up(settings)
        archive = open_archive(settings)
    except (ConfigError, StorageError, OSError) as error:
        print(f"forwarding cannot start: {error}", file=sys.stderr)
        return 1
    wanted = destinations(settings.forward_rules)
    known = {one.name: one for one in settings.web_destinations if one.name in wanted}
    retrieve = Retrieve(archive)
    forwarder = Forwarder(archive, list(known), lambda name: courier(archive, retrieve, known[name]))
    steady.settle()
    forwarder.start()
    stop.wait()
    forwarder.stop()
    retrieve.close()
    archive.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
