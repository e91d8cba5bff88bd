"""Pictures kept on the local disk, so that they are made once: a file each, named by a hash, within so many bytes.

A cache and nothing more: a picture that is missing or damaged is made again, a disk that is full keeps none. Several
processes share the directory. Names and contents hold nothing that tells whose picture it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
import zlib
from pathlib import Path

_SWEEPS_A_LIMIT = 16  # a process looks at the whole directory after writing this part of the limit
_TOUCH_S = 3600.0  # how old a file's time of use may become before it is set anew
_CHECK_BYTES = 4


class PictureFiles:
    """Bytes by key. `limit_bytes` 0 keeps nothing; what was not asked for during `keep_s` goes. Thread-safe."""

    def __init__(self, directory: Path, *, limit_bytes: int, keep_s: float) -> None:
        self._directory = directory
        self._limit = limit_bytes
        self._keep_s = keep_s
        self._written = limit_bytes  # so that the first write of a process sweeps
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The picture, or None."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                data = file.read()
                if time.time() - os.fstat(file.fileno()).st_mtime > _TOUCH_S:
                    os.utime(file.fileno())
        except OSError:
            return None
        check, body = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        return body if check == _check(body) else None

    def put(self, key: str, body: bytes) -> None:
        """Keep a picture, if the disk allows."""
        if not self._limit:
            return
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb", opener=_for_us_alone) as file:  # pathlib has no opener
                file.write(_check(body) + body)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            return
        with self._lock:
            self._written += len(body)
            due = self._written * _SWEEPS_A_LIMIT >= self._limit
            if due:
                self._written = 0
        if due:
            self.sweep()

    def sweep(self) -> None:
        """Drop what is old, then the least recently used until the limit is kept."""
        found = []
        for path in self._directory.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        found.sort(key=lambda one: one[:2])
        size = sum(one[1] for one in found)
        oldest = time.time() - self._keep_s
        for used_at, file_bytes, path in found:
            if used_at >= oldest and size <= self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            size -= file_bytes

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._directory / name[:2] / name


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _check(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECK_BYTES, "big")
