"""Objects as files: `<directory>/objects/<key>`, what they carry in one extended attribute.

How a put becomes power-cut safe with ONE fsync on ext4 and xfs: header and body go into an unnamed file in the object's
own directory (a spooled file is taken as it is), the attribute is set, the file is *linked* to its key (a link never
overwrites), and only then fsynced. Both file systems write their journal in order, and fsync commits it up to the
inode's last change, which is that link; the directory entry and the directories made for it stand at or before that
point. On any other file system the file is fsynced first, then every directory from its own up to `objects`. Measured
with 528 KB objects at 1/4/8 threads: 620/1240/1540 a second, against 560/920/1190 with fsyncs of file and directory.

Between link and fsync another process may see the object; its bytes are complete there. Only a power cut in that moment
can leave a file shorter than it was, and the attribute tells: the size in it differs from the file's. Such a torn
object counts as absent (its row was never committed) and `sweep_unfinished` removes it with the other leftovers.
Objects of some size go past the page cache, see direct.py.

A delete is not fsynced: after a power cut the object may be back as an orphan, which the orphan sweep finds again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.errors import InvalidKey, ObjectExists, ObjectNotFound, StorageError, StorageFull, StorageUnavailable
from storage.keys import check_key
from storage.objects import attribute
from storage.objects.base import CHUNK_BYTES, ObjectInfo, ObjectMeta
from storage.objects.direct import DirectWriter, write_all
from storage.objects.early import EarlyWriter
from storage.objects.meta import check_meta, check_tags, extended, raise_if_held
from storage.objects.payload import Payload

_ORDERED_JOURNAL = ("ext4", "xfs")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
_NO_PARENT = (errno.ENOENT, errno.ENOTDIR)
_UNNAMED = os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE
_MODE = 0o600  # patient data: nobody else's
_DIRECT_FROM_BYTES = 1 << 16  # smaller objects are mostly read back by the worker
_RACES = 100  # how often a put may lose its directory to a delete before it gives up
_OPEN_FILES = Path("/proc/self/fd")


class LocalStore:
    """An `ObjectStore` and `ObjectPolicy` over a directory.

    `staging` is on the same file system as the objects: spools that grow there are adopted without a copy.
    """

    def __init__(
        self, directory: Path, *, direct_writes: bool = True, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._now = now
        self._direct = DirectWriter() if direct_writes else None
        self._early = None if self._direct is None else EarlyWriter(self._direct)
        self._objects = directory / "objects"
        self._root = str(self._objects)
        self._latest = self._objects  # the directory of the latest put: the next object mostly is of the same series
        self.staging = directory / "staging"
        with _errors():
            self._objects.mkdir(parents=True, exist_ok=True)
            self.staging.mkdir(exist_ok=True)
            _fsync_directory(directory)
            _fsync_directory(directory.absolute().parent)
            self._device = self._objects.stat().st_dev
            self._one_fsync = file_system(directory) in _ORDERED_JOURNAL
            self._attributes = attribute.supported(self.staging)
            self._unnamed_files = _OPEN_FILES.is_dir()

    def begin_put(self, payload: Payload) -> None:
        """See EarlyStore: a lone payload in memory is written early."""
        content = payload.aligned
        if self._early is None or content is None or len(content) < _DIRECT_FROM_BYTES or not payload.is_alone:
            return
        with contextlib.suppress(OSError):  # `put` meets the same obstacle, and says so
            payload.begun = self._early.begin(os.open(self._latest, _UNNAMED, _MODE), content)

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        """See ObjectStore. A spool on the same file system is adopted: its temporary file becomes the object."""
        target = self._objects / check_key(key)
        check_meta(meta, self._now())
        packed = attribute.pack(meta, payload.size_bytes)
        with _errors(), self._filled(payload, target) as (descriptor, source):
            if self._attributes:
                os.setxattr(descriptor, attribute.NAME, packed)
                _link(descriptor, source, target)
            else:
                self._link_with_sidecar(descriptor, source, target, packed)
            try:
                self._make_durable(descriptor, target)
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
        chunks = _chunks(f"{self._root}/{check_key(key)}", start, length)
        next(chunks)  # opens the file, so that a missing object is raised here
        return chunks

    def will_need(self, keys: Sequence[str]) -> None:
        """See Foretold."""
        for number, key in enumerate(keys):
            try:
                descriptor = os.open(f"{self._root}/{check_key(key)}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                if number == 0 and _is_in_memory(descriptor):
                    return
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See ObjectStore."""
        return self._load(key)[0]

    def meta(self, key: str, *, version_id: str | None = None) -> ObjectMeta:
        """See ObjectStore."""
        return self._load(key)[1]

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See ObjectStore. Directories that it leaves empty go too."""
        target = self._objects / check_key(key)
        with _errors(missing=ObjectNotFound), contextlib.suppress(ObjectNotFound), self._exclusive():
            raise_if_held(self._load(key)[1], self._now())
            target.unlink()
            attribute.sidecar(target).unlink(missing_ok=True)
            self._prune(target.parent)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        for key in self._walk(prefix):
            with contextlib.suppress(ObjectNotFound):  # deleted meanwhile, or torn
                yield self.stat(key)

    def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        check_tags(tags)
        self._change(key, lambda meta: replace(meta, tags=dict(tags)))

    def extend_retention(self, key: str, until: datetime, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._change(key, lambda meta: extended(meta, until))

    def set_legal_hold(self, key: str, held: bool, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._change(key, lambda meta: replace(meta, legal_hold=held))

    def close(self) -> None:
        """No file stays open between calls."""
        if self._early is not None:
            self._early.close()

    def free_bytes(self) -> int:
        """The bytes that may still be written before the file system is full."""
        with _errors():
            free = os.statvfs(self._objects)
        return free.f_bavail * free.f_frsize

    def sweep_unfinished(self, older_than: timedelta) -> int:
        """Remove what interrupted puts left, if untouched for that long: spools and torn objects. Returns how many."""
        before = (self._now() - older_than).timestamp()
        with _errors():
            left_over = [Path(entry) for entry in os.scandir(self.staging) if entry.is_file(follow_symlinks=False)]
            swept = sum(_remove_older(path, before) for path in left_over)
            for path in (self._objects / key for key in self._walk("")):
                if _is_torn(path) and _remove_older(path, before):
                    swept += 1
                    self._prune(path.parent)
        return swept

    @contextlib.contextmanager
    def _filled(self, payload: Payload, target: Path) -> Iterator[tuple[int, Path | None]]:
        """An open file with the payload's bytes, and its path unless it has no name yet."""
        self._latest = target.parent
        if payload.begun is not None:
            begun, payload.begun = payload.begun, None
            descriptor = begun.take()
            try:
                yield descriptor, None
            finally:
                os.close(descriptor)
            return
        if payload.path is not None and payload.path.stat().st_dev == self._device:
            descriptor = os.open(payload.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield descriptor, payload.path
            finally:
                os.close(descriptor)
            return
        descriptor, source = self._create(target.parent)
        try:
            self._write(descriptor, payload)
            yield descriptor, source
        finally:
            os.close(descriptor)
            if source is not None:
                source.unlink(missing_ok=True)

    def _write(self, descriptor: int, payload: Payload) -> None:
        if self._direct is None or payload.size_bytes < _DIRECT_FROM_BYTES:
            _write(descriptor, payload)
        elif payload.aligned is not None:
            self._direct.write_aligned(descriptor, payload.aligned)
        else:
            self._direct.write(descriptor, payload.chunks())

    def _create(self, directory: Path) -> tuple[int, Path | None]:
        """A new file: unnamed in `directory`, which a crash cleans up by itself, or else a named one in staging."""
        for _ in range(_RACES if self._unnamed_files else 0):
            try:
                return os.open(directory, _UNNAMED, _MODE), None
            except OSError as error:
                if error.errno in _NO_UNNAMED_FILES:
                    self._unnamed_files = False
                    break
                if error.errno not in _NO_PARENT:
                    raise
                _make_directories(directory)
        source = self.staging / f"put-{secrets.token_hex(8)}.tmp"
        return os.open(source, os.O_WRONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, _MODE), source

    def _link_with_sidecar(self, descriptor: int, source: Path | None, target: Path, packed: bytes) -> None:
        with self._exclusive():
            if target.exists():
                raise ObjectExists(target.name)
            _make_directories(target.parent)
            attribute.write_sidecar(target, packed, self.staging)
            _link(descriptor, source, target)

    def _make_durable(self, descriptor: int, target: Path) -> None:
        os.fsync(descriptor)
        if self._one_fsync:
            return
        for directory in target.parents:
            _fsync_directory(directory)
            if directory == self._objects:
                return

    def _load(self, key: str) -> tuple[ObjectInfo, ObjectMeta]:
        path = self._objects / check_key(key)
        with _errors(missing=ObjectNotFound):
            status = path.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectNotFound(key)
            packed = attribute.read(path)
        meta, size_bytes = attribute.unpack(packed) if packed else (ObjectMeta(), status.st_size)
        if size_bytes != status.st_size:
            raise ObjectNotFound(f"{key} was torn by a power cut before its put returned")
        return _info(key, status), meta

    def _change(self, key: str, change: Callable[[ObjectMeta], ObjectMeta]) -> None:
        with _errors(missing=ObjectNotFound), self._exclusive():
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

    def _walk(self, prefix: str) -> Iterator[str]:
        """Keys in byte order; hidden names are none. A directory sorts as its name with the slash that follows."""
        base, _, _ = prefix.rpartition("/")
        if base and any(segment in ("", ".", "..") for segment in base.split("/")):
            return
        stack = [f"{base}/" if base else ""]
        while stack:
            key = stack.pop()
            if key and not key.endswith("/"):
                yield key
                continue
            with _errors():
                names = [f"{key}{name}" for name in _names(self._objects / key)]
            stack += sorted((name for name in names if name.startswith(prefix)), reverse=True)

    def _prune(self, directory: Path) -> None:
        """Remove directories that are empty; one that a put fills at this moment is left alone, or made again by it."""
        while directory != self._objects:
            try:
                directory.rmdir()
            except OSError:
                return
            directory = directory.parent

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One change of what an object carries at a time, over all processes; puts do not wait for it."""
        descriptor = os.open(self.staging.parent / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def file_system(directory: Path) -> str:
    """The type of the file system `directory` is on ("ext4"), "" when it cannot be told."""
    device = directory.stat().st_dev
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for fields in map(str.split, lines):
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return ""


def _chunks(path: str, start: int, length: int | None) -> Generator[bytes, None, None]:
    """First an empty chunk once the file is open, then its bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise _refusal(error, ObjectNotFound) from error
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


def _is_in_memory(descriptor: int) -> bool:
    """Whether the end of a file can be read without the disk."""
    try:
        return bool(os.preadv(descriptor, [bytearray(1)], max(os.fstat(descriptor).st_size - 1, 0), os.RWF_NOWAIT))
    except OSError:  # BlockingIOError: it is not; another: the file system cannot tell
        return False


def _read(descriptor: int, size: int, start: int) -> bytes:
    try:
        return os.pread(descriptor, size, start)
    except OSError as error:
        raise _refusal(error, StorageUnavailable) from error


def _write(descriptor: int, payload: Payload) -> None:
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


def _link(descriptor: int, source: Path | None, target: Path) -> None:
    """Give the file its key; never over another file. A directory that a delete has just removed is made again."""
    for attempt in range(_RACES):
        try:
            if source is None:  # src_dir_fd makes it linkat, which follows the link to the unnamed file
                os.link(f"{_OPEN_FILES}/{descriptor}", target, src_dir_fd=descriptor, follow_symlinks=True)
            else:
                os.link(source, target)
            return
        except FileExistsError:
            raise ObjectExists(target.name) from None
        except OSError as error:
            if error.errno not in _NO_PARENT or attempt == _RACES - 1:
                raise
            _make_directories(target.parent)


def _make_directories(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        return  # a delete pruned a parent meanwhile: the caller tries again
    except (FileExistsError, NotADirectoryError):
        raise InvalidKey("a key may not lie below another object") from None


def _names(directory: Path) -> list[str]:
    """What `directory` holds, directories with a slash at the end; empty when it is gone or none."""
    try:
        with os.scandir(directory) as entries:
            return [
                f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                for entry in entries
                if not entry.name.startswith(".")
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_torn(path: Path) -> bool:
    try:
        packed = attribute.read(path)
        return packed is not None and attribute.unpack(packed)[1] != path.stat().st_size
    except FileNotFoundError:
        return False


def _remove_older(path: Path, before: float) -> bool:
    try:
        if path.stat(follow_symlinks=False).st_mtime >= before:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


@contextlib.contextmanager
def _errors(*, missing: type[StorageError] = StorageUnavailable) -> Iterator[None]:
    """The operating system's errors in the vault's words; messages never name a path."""
    try:
        yield
    except OSError as error:
        raise _refusal(error, missing) from error


def _refusal(error: OSError, missing: type[StorageError]) -> StorageError:
    message = f"the file system refuses: {error.strerror}"
    if error.errno in _FULL:
        return StorageFull(message)
    return missing(message) if error.errno in _NO_PARENT else StorageUnavailable(message)
