"""The backend over a directory. What it promises is said in storage/objects/base.py, how in the modules beside it.

A put fills a file (filling.py), sets its attribute (attribute.py), *links* it to its key, for a link never overwrites
(naming.py), and only then fsyncs it (durable.py).

A delete is not fsynced: after a power cut the object may be back as an orphan, which the orphan sweep finds again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.errors import ObjectExists, ObjectNotFound
from storage.keys import check_key
from storage.objects.base import ObjectInfo, ObjectMeta
from storage.objects.local import attribute
from storage.objects.local.durable import Durability, file_system, fsync_directory
from storage.objects.local.filling import MODE, Filling
from storage.objects.local.leftovers import sweep
from storage.objects.local.naming import link, make_directories, prune
from storage.objects.local.reading import chunks, foretell
from storage.objects.local.refusals import refusals
from storage.objects.local.walking import keys
from storage.objects.meta import check_meta, raise_if_held
from storage.objects.payload import Payload
from storage.objects.policy import Rewriting


class LocalStore(Rewriting):
    """An `ObjectStore` and `ObjectPolicy` over a directory.

    `staging` is on the same file system as the objects: spools that grow there are adopted without a copy.
    """

    def __init__(
        self, directory: Path, *, direct_writes: bool = True, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._now = now
        self._objects = directory / "objects"
        self._root = str(self._objects)
        self.staging = directory / "staging"
        with refusals():
            self._objects.mkdir(parents=True, exist_ok=True)
            self.staging.mkdir(exist_ok=True)
            fsync_directory(directory)
            fsync_directory(directory.absolute().parent)
            self._filling = Filling(self._objects, self.staging, direct_writes=direct_writes)
            self._durability = Durability(self._objects, file_system(directory))
            self._attributes = attribute.supported(self.staging)

    def begin_put(self, payload: Payload) -> None:
        """See EarlyStore: a lone payload in memory is written early."""
        self._filling.begin(payload)

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        """See ObjectStore. A spool on the same file system is adopted: its temporary file becomes the object."""
        target = self._objects / check_key(key)
        check_meta(meta, self._now())
        packed = attribute.pack(meta, payload.size_bytes)
        with refusals(), self._filling.filled(payload, target.parent) as (descriptor, source):
            if self._attributes:
                os.setxattr(descriptor, attribute.NAME, packed)
                link(descriptor, source, target)
            else:
                self._link_with_sidecar(descriptor, source, target, packed)
            try:
                self._durability.ensure(descriptor, target)
            except OSError:
                target.unlink(missing_ok=True)  # after a failed fsync nobody knows what is on the disk
                raise
            if source is not None:
                source.unlink(missing_ok=True)
            return _info(key, os.fstat(descriptor))

    def read(
        self, key: str, *, version_id: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """See ObjectStore."""
        content = chunks(f"{self._root}/{check_key(key)}", start, length)
        next(content)  # opens the file, so that a missing object is raised here
        return content

    def will_need(self, keys: Sequence[str]) -> None:
        """See Foretold."""
        foretell(f"{self._root}/{check_key(key)}" for key in keys)

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See ObjectStore."""
        return self._load(key)[0]

    def meta(self, key: str, *, version_id: str | None = None) -> ObjectMeta:
        """See ObjectStore."""
        return self._load(key)[1]

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See ObjectStore. Directories that it leaves empty go too."""
        target = self._objects / check_key(key)
        with refusals(missing=ObjectNotFound), contextlib.suppress(ObjectNotFound), self._exclusive():
            raise_if_held(self._load(key)[1], self._now())
            target.unlink()
            attribute.sidecar(target).unlink(missing_ok=True)
            prune(target.parent, self._objects)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        for key in keys(self._objects, prefix):
            with contextlib.suppress(ObjectNotFound):  # deleted meanwhile, or torn
                yield self.stat(key)

    def close(self) -> None:
        """No file stays open between calls."""
        self._filling.close()

    def free_bytes(self) -> int:
        """The bytes that may still be written before the file system is full."""
        with refusals():
            free = os.statvfs(self._objects)
        return free.f_bavail * free.f_frsize

    def sweep_unfinished(self, older_than: timedelta) -> int:
        """Remove what interrupted puts left, if untouched for that long: spools and torn objects. Returns how many."""
        before = (self._now() - older_than).timestamp()
        with refusals():
            return sweep(self._objects, self.staging, before)

    def _link_with_sidecar(self, descriptor: int, source: Path | None, target: Path, packed: bytes) -> None:
        with self._exclusive():
            if target.exists():
                raise ObjectExists(target.name)
            make_directories(target.parent)
            attribute.write_sidecar(target, packed, self.staging)
            link(descriptor, source, target)

    def _load(self, key: str) -> tuple[ObjectInfo, ObjectMeta]:
        path = self._objects / check_key(key)
        with refusals(missing=ObjectNotFound):
            status = path.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectNotFound(key)
            packed = attribute.read(path)
        meta, size_bytes = attribute.unpack(packed) if packed else (ObjectMeta(), status.st_size)
        if size_bytes != status.st_size:
            raise ObjectNotFound(f"{key} was torn by a power cut before its put returned")
        return _info(key, status), meta

    def _change(self, key: str, change: Callable[[ObjectMeta], ObjectMeta]) -> None:
        with refusals(missing=ObjectNotFound), self._exclusive():
            info, meta = self._load(key)
            packed = attribute.pack(change(meta), info.size_bytes)
            path = self._objects / key
            if not self._attributes:
                attribute.write_sidecar(path, packed, self.staging)
                return
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.setxattr(descriptor, attribute.NAME, packed)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One change of what an object carries at a time, over all processes; puts do not wait for it."""
        descriptor = os.open(self.staging.parent / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
