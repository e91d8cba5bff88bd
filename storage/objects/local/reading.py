"""Reading objects in chunks, and from the disk into the kernel's memory before it is their turn."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable

from storage.errors import ObjectNotFound, StorageUnavailable
from storage.objects.base import CHUNK_BYTES
from storage.objects.local.refusals import refusal

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def chunks(path: str, start: int, length: int | None) -> Generator[bytes, None, None]:
    """First an empty chunk once the file is open, then its bytes. Raises ObjectNotFound, StorageUnavailable."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise refusal(error, ObjectNotFound) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectNotFound(path.rpartition("/")[2])
        end = status.st_size if length is None else min(status.st_size, start + length)
        yield b""
        while start < end and (chunk := _read(descriptor, min(CHUNK_BYTES, end - start), start)):
            start += len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


def foretell(paths: Iterable[str]) -> None:
    """Ask the kernel to read these files; none of them when the first is in memory already. Never raises OSError."""
    for number, path in enumerate(paths):
        try:
            descriptor = os.open(path, _READ)
        except OSError:
            continue
        try:
            if number == 0 and is_in_memory(descriptor):
                return
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def is_in_memory(descriptor: int) -> bool:
    """Whether the end of a file can be read without the disk."""
    try:
        return bool(os.preadv(descriptor, [bytearray(1)], max(os.fstat(descriptor).st_size - 1, 0), os.RWF_NOWAIT))
    except OSError:  # BlockingIOError: it is not; another: the file system cannot tell
        return False


def _read(descriptor: int, size: int, start: int) -> bytes:
    try:
        return os.pread(descriptor, size, start)
    except OSError as error:
        raise refusal(error, StorageUnavailable) from error
