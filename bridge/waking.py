"""An event that a signal handler may set at any moment.

`threading.Event` has a lock that a thread cannot take twice, and a handler runs in the main thread, in the middle of
whatever that does: in the event's own `wait`, or in another handler's `set` when Ctrl-C and SIGTERM come together. So
it would wait for itself, for ever.
"""

from __future__ import annotations

import contextlib
import os
import select


class Wake:
    """Set, cleared and waited for as a `threading.Event`, without a lock; one descriptor."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def set(self) -> None:
        """From any thread and any signal handler."""
        with contextlib.suppress(BlockingIOError):  # 2 ** 64 - 2 calls without a `clear`
            os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Until the next `set`."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def is_set(self) -> bool:
        """Whether it was set since it was last cleared."""
        return self.wait(0)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it was set within the time; None waits for ever."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def __del__(self) -> None:
        os.close(self._descriptor)
