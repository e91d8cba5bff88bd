"""`python -m dicomweb.forward`: the process that sends to DICOMweb servers; it runs where rules name one."""

from __future__ import annotations

import signal
import sys
from functools import partial

from bridge import process
from bridge.archive import Archive
from bridge.forwarding.routing import destinations
from bridge.forwarding.running import Forwarder
from bridge.retrieve import Retrieve
from bridge.waking import Wake
from dicomweb.stow_line import courier


def main(arguments: list[str] | None = None) -> int:
    """Carry out orders until SIGTERM or SIGINT; returns the exit code."""
    stop = Wake()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return process.run(
        "dicomweb.forward",
        "Sends finished studies on.",
        lambda archive: partial(_forward, archive, stop),
        arguments,
        called="forwarding",
    )


def _forward(archive: Archive, stop: Wake) -> None:
    settings = archive.settings
    wanted = destinations(settings.forward_rules)
    known = {one.name: one for one in settings.web_destinations if one.name in wanted}
    retrieve = Retrieve(archive)
    forwarder = Forwarder(archive, list(known), lambda name: courier(archive, retrieve, known[name]))
    forwarder.start()
    stop.wait()
    forwarder.stop()
    retrieve.close()


if __name__ == "__main__":
    sys.exit(main())
