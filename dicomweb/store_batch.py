"""Instances of one request on their way into the archive, several at a time: their waits for the disk overlap."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

from bridge.errors import BridgeError
from bridge.ingest import Receipt
from dicomweb.store_report import Failed, Result, Stored

_LOG = logging.getLogger(__name__)


class Batch:
    """Keeps at most `overlap` instances under way; results come in the order of the instances."""

    def __init__(self, pool: Executor, overlap: int) -> None:
        self._pool = pool
        self._slots = threading.BoundedSemaphore(overlap)
        self._results: list[Future[Result] | Result] = []
        self._last: Callable[[], Result] | None = None

    def add(self, complete: Callable[[], Receipt], *, sop_class_uid: str = "", sop_instance_uid: str = "") -> None:
        """Take an instance that has come whole: `complete` hands it to the archive. Waits for a free place.

        The UIDs are what a refusal is reported under, "" where they are not known.
        """
        self._start_last()
        self._last = lambda: _outcome(complete, sop_class_uid, sop_instance_uid)

    def refuse(self, error: BridgeError, *, sop_class_uid: str = "", sop_instance_uid: str = "") -> None:
        """Note an instance that cannot even be handed over."""
        self._start_last()
        self._results.append(Failed(error, sop_class_uid, sop_instance_uid))

    def results(self) -> list[Result]:
        """What became of each, once all have come to rest. The last one is worked on here, in the caller's thread."""
        if self._last is not None:
            last, self._last = self._last, None
            self._results.append(last())
        return [item.result() if isinstance(item, Future) else item for item in self._results]

    def _start_last(self) -> None:
        if self._last is None:
            return
        work, self._last = self._last, None
        self._slots.acquire()

        def run() -> Result:
            try:
                return work()
            finally:
                self._slots.release()

        self._results.append(self._pool.submit(run))


def _outcome(complete: Callable[[], Receipt], sop_class_uid: str, sop_instance_uid: str) -> Result:
    try:
        receipt = complete()
    except BridgeError as error:
        return Failed(error, sop_class_uid, sop_instance_uid)
    except Exception:
        # a thread of the door is the door (DESIGN §13 rule 7); the other instances go on
        _LOG.exception("an instance could not be stored")
        return Failed(BridgeError("an internal error; the server's log says more"), sop_class_uid, sop_instance_uid)
    return Stored(receipt, named_otherwise=sop_instance_uid not in ("", receipt.ref.sop_instance_uid))
