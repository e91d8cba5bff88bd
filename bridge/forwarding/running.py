"""The threads that carry orders out: one a destination, so that one that hangs holds up nobody else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from bridge.archive import Archive
from bridge.forwarding.delivery import Courier, deliver_due
from storage.errors import StorageError

_LOG = logging.getLogger(__name__)


class Forwarder:
    """Carries out what is ordered for these destinations until it is stopped. `courier_to` makes a name's Courier."""

    def __init__(self, archive: Archive, names: Sequence[str], courier_to: Callable[[str], Courier]) -> None:
        self._archive = archive
        self._courier_to = courier_to
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(name,), name=f"forward {name}") for name in names]

    def start(self) -> None:
        """Begin; does nothing without destinations."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return once the instances that are on their way have arrived."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _run(self, name: str) -> None:
        courier = self._courier_to(name)
        while not self._stop.is_set():
            try:
                deliver_due(self._archive, name, courier, self._stop)
            except StorageError as error:
                _LOG.warning("orders for %s wait, because the index does not answer: %s", name, error)
            except Exception:  # the loop's last resort: the claim runs out and the order comes again
                _LOG.exception("an order for %s failed and will be tried again", name)
            self._stop.wait(self._archive.settings.forwarding.interval_s)
