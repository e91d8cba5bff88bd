"""New files with the bytes of a payload: an unnamed one in the object's own directory, or the spool as it is."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from storage.objects.local.direct import DirectWriter, write_all
from storage.objects.local.early import EarlyWriter
from storage.objects.local.naming import OPEN_FILES, RACES, make_directories
from storage.objects.local.refusals import NO_PARENT
from storage.objects.payload import Payload

MODE = 0o600  # patient data: nobody else's
_DIRECT_FROM_BYTES = 1 << 16  # smaller objects are mostly read back by the worker
_NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
_UNNAMED = os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE


class Filling:
    """Fills files on the file system of `objects`. Those that cannot be without a name stand in `staging` meanwhile."""

    def __init__(self, objects: Path, staging: Path, *, direct_writes: bool) -> None:
        self._staging = staging
        self._device = objects.stat().st_dev
        self._direct = DirectWriter() if direct_writes else None
        self._early = None if self._direct is None else EarlyWriter(self._direct)
        self._latest = objects  # the directory of the latest file: the next object mostly is of the same series
        self._unnamed_files = OPEN_FILES.is_dir()

    def begin(self, payload: Payload) -> None:
        """Begin to write a lone payload in memory, if that is worth it; `filled` takes over what was begun."""
        content = payload.aligned
        if self._early is None or content is None or len(content) < _DIRECT_FROM_BYTES or not payload.is_alone:
            return
        with contextlib.suppress(OSError):  # `filled` meets the same obstacle, and says so
            payload.begun = self._early.begin(os.open(self._latest, _UNNAMED, MODE), content)

    @contextlib.contextmanager
    def filled(self, payload: Payload, directory: Path) -> Iterator[tuple[int, Path | None]]:
        """An open file with the payload's bytes, for `directory`, and its path unless it has no name yet.

        Raises OSError, InvalidKey.
        """
        self._latest = directory
        source, is_filled = None, True
        if payload.begun is not None:
            begun, payload.begun = payload.begun, None
            descriptor = begun.take()
        elif payload.path is not None and payload.path.stat().st_dev == self._device:
            descriptor, source = os.open(payload.path, os.O_RDONLY | os.O_CLOEXEC), payload.path
        else:
            descriptor, source = self._create(directory)
            is_filled = False
        try:
            if not is_filled:
                self._write(descriptor, payload)
            yield descriptor, source
        finally:
            os.close(descriptor)
            if source is not None and not is_filled:
                source.unlink(missing_ok=True)

    def close(self) -> None:
        """End the thread of early writes."""
        if self._early is not None:
            self._early.close()

    def _create(self, directory: Path) -> tuple[int, Path | None]:
        """A new file: unnamed in `directory`, which a crash cleans up by itself, or else a named one in staging."""
        for _ in range(RACES if self._unnamed_files else 0):
            try:
                return os.open(directory, _UNNAMED, MODE), None
            except OSError as error:
                if error.errno in _NO_UNNAMED_FILES:
                    self._unnamed_files = False
                    break
                if error.errno not in NO_PARENT:
                    raise
                make_directories(directory)
        source = self._staging / f"put-{secrets.token_hex(8)}.tmp"
        return os.open(source, os.O_WRONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, MODE), source

    def _write(self, descriptor: int, payload: Payload) -> None:
        if self._direct is None or payload.size_bytes < _DIRECT_FROM_BYTES:
            _write_cached(descriptor, payload)
        elif payload.aligned is not None:
            self._direct.write_aligned(descriptor, payload.aligned)
        else:
            self._direct.write(descriptor, payload.chunks())


def _write_cached(descriptor: int, payload: Payload) -> None:
    """Header and body in one writev where they are in memory; what a short write leaves goes after it."""
    if payload.path is not None:
        for chunk in payload.chunks():
            write_all(descriptor, chunk)
        return
    body = memoryview(payload.body or b"")
    written = os.writev(descriptor, [payload.header, body]) if payload.size_bytes else 0
    if written < len(payload.header):
        write_all(descriptor, payload.header[written:])
        written = len(payload.header)
    write_all(descriptor, body[written - len(payload.header) :])
