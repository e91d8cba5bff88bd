"""Writing an object before its key is known: the disk works while the processor still describes the data set.

An object that comes alone spends a fifth of its way waiting for the disk. The bytes of one that is complete go into a
file without a name at once, in a thread; `put` gives it the name. With several objects in hand at a time they wait for
the processor anyway, and the change of threads costs more than it brings, so only a lone one is written early.
"""

from __future__ import annotations

import os
import queue
import threading

from storage.objects.local.direct import DirectWriter

_START_S = 0.005


class EarlyWrite:
    """One file without a name that is being filled."""

    def __init__(self, descriptor: int, content: memoryview) -> None:
        self._descriptor = descriptor
        self._content = content
        self._error: OSError | None = None
        self._written = threading.Lock()
        self._written.acquire()
        self._started = threading.Lock()
        self._started.acquire()

    def run(self, writer: DirectWriter) -> None:
        """Write; in the thread."""
        self._started.release()
        try:
            writer.write_aligned(self._descriptor, self._content)
        except OSError as error:
            self._error = error
        finally:
            self._written.release()

    def wait_for_start(self) -> None:
        """Let the thread have the interpreter: else it gets it only when the data set has been described."""
        self._started.acquire(timeout=_START_S)

    def take(self) -> int:
        """The descriptor, once everything is written; it is the caller's to close. Raises OSError."""
        self._written.acquire()
        if self._error is not None:
            os.close(self._descriptor)
            raise self._error
        return self._descriptor

    def drop(self) -> None:
        """Nobody wants the file: it is gone when it is closed."""
        self._written.acquire()
        os.close(self._descriptor)


class EarlyWriter:
    """One thread, started by the first write."""

    def __init__(self, writer: DirectWriter) -> None:
        self._writer = writer
        self._tasks: queue.SimpleQueue[EarlyWrite | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def begin(self, descriptor: int, content: memoryview) -> EarlyWrite:
        """Begin to write `content`, whose memory begins with a page, to an empty file."""
        if self._thread is None:
            self._start()
        write = EarlyWrite(descriptor, content)
        self._tasks.put(write)
        write.wait_for_start()
        return write

    def close(self) -> None:
        """End the thread; what was begun is written."""
        with self._starting:
            if self._thread is not None:
                self._tasks.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="early writes", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (write := self._tasks.get()) is not None:
            write.run(self._writer)
