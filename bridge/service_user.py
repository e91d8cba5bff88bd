"""The user the bridge's files belong to: who runs the doors, and whom a verb that root types becomes first.

What root made, the doors could not write: SQLite hands its own files (-wal, -shm) to the owner of the database when it
runs as root, but objects, folders, lock files and the audit trail would be root's. So nothing is made as root. That
user is `supervisor.user`; without it, whoever ran the doors last, which the owner of `run` tells (systemd's `User=`).
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import pwd
import shlex
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bridge.errors import ConfigError
from bridge.settings import Settings

_OURS = ("hot", "landing", "spool", "run", "thumbnails")  # folders below storage.directory; others are not looked at
_START_DEPTH = 3  # folders below the data folder that a start looks through: as deep as hot/objects/<site>
_LIBC = ctypes.CDLL(None)
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 4, 8
_CAP_DAC_READ_SEARCH = 1 << 2  # capabilities(7): may read every file, and change none
_CAPABILITY_VERSION_3 = 0x20080522  # capset(2): two 32-bit halves of three sets


@dataclass(frozen=True, slots=True)
class User:
    """A user of this machine; `name` is empty when only the numbers are known."""

    name: str
    uid: int
    gid: int

    @property
    def owner(self) -> str:
        """As chown takes it."""
        return f"{self.name}:" if self.name else f"{self.uid}:{self.gid}"

    def __str__(self) -> str:
        return self.name or str(self.uid)


def service_user(settings: Settings) -> User | None:
    """Whose the files are, when this process runs as somebody else. Raises ConfigError for an unknown user."""
    if settings.supervisor.user:
        try:
            entry = pwd.getpwnam(settings.supervisor.user)
        except KeyError:
            raise ConfigError(f"this machine has no user {settings.supervisor.user!r} (supervisor.user)") from None
        user = User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    else:
        try:
            found = (settings.storage.directory / "run").stat()
        except OSError:
            return None
        try:
            user = User(pwd.getpwuid(found.st_uid).pw_name, found.st_uid, found.st_gid)
        except KeyError:
            user = User("", found.st_uid, found.st_gid)
    return None if user.uid == os.geteuid() else user


def door_user(settings: Settings) -> User | None:
    """The user that `serve` runs the doors as, when it is not ours already. Raises ConfigError."""
    return service_user(settings) if settings.supervisor.user else None


def own() -> User:
    """The user this process runs as."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = ""
    return User(name, os.geteuid(), os.getegid())


@contextlib.contextmanager
def acting_as(user: User | None) -> Iterator[None]:
    """Make files as this user and come back to root, which opens the ports. Raises ConfigError when not root."""
    if user is None:
        yield
        return
    before = os.getegid(), os.getgroups()
    with _refusal(user):
        _take_groups(user)
        os.setegid(user.gid)
        os.seteuid(user.uid)
    _allow_looking_at_itself()
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[0])
        os.setgroups(before[1])


def become(user: User | None, *, reading_all: bool = False) -> None:
    """Turn into this user for good. Raises ConfigError.

    `reading_all`: what root was asked to import may be root's; where the kernel allows it, reading stays possible.
    """
    if user is None:
        return
    os.environ["LOGNAME"] = getpass.getuser()  # the audit trail names who typed the command
    with _refusal(user):
        _take_groups(user)
        os.setgid(user.gid)
        _LIBC.prctl(_PR_SET_KEEPCAPS, 1 if reading_all else 0)
        os.setuid(user.uid)
    if reading_all and not _keep_capability(_CAP_DAC_READ_SEARCH):
        _keep_capability(0)
    _allow_looking_at_itself()


def take_over(settings: Settings) -> None:
    """What a verb begins with: as root, become the service user. Raises ConfigError when it cannot write its files."""
    user = service_user(settings) if os.geteuid() == 0 else None
    if user is not None:
        make_folder(settings.storage.directory, user)
        become(user, reading_all=True)
        check(settings, user)


def make_folder(directory: Path, user: User) -> None:
    """A data folder that is not there yet is made, and is theirs; one that is there is left as it is."""
    directory = directory.absolute()
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        os.chown(one, user.uid, user.gid)


def check(settings: Settings, user: User) -> None:
    """As this user: raises ConfigError, which names the remedy, when program or data folder are out of its reach."""
    for needed in (Path(os.__file__), Path(__file__)):
        if not os.access(needed, os.R_OK, effective_ids=True):
            raise ConfigError(f"the user {user} cannot read {needed}: install the bridge where every user may read it")
    found = next(unwritable(settings, depth=_START_DEPTH), None)
    if found is not None:
        raise ConfigError(remedy(settings, user, found))


def remedy(settings: Settings, user: User, path: Path) -> str:
    """One sentence: what is out of reach, and the command that changes it."""
    directory = settings.storage.directory.absolute()
    if path in directory.parents:
        return f"the user {user} may not enter {path}: move storage.directory, or run `chmod o+x {_quoted(path)}`"
    return f"the user {user} cannot write {path}: run `chown -R {user.owner} {_quoted(directory)}`"


def unwritable(settings: Settings, *, depth: int = 1 << 30, limit: int = 1 << 30) -> Iterator[Path]:
    """What the effective user cannot write of the bridge's own files, looked for this deep, among the first `limit`."""
    directory = settings.storage.directory.absolute()
    for above in reversed(directory.parents):
        if not os.access(above, os.X_OK, effective_ids=True):
            yield above
            return
    if not _may_change(directory, folder=True):
        yield directory
        return
    for path, folder in islice(_files(directory, settings.audit_file, depth), limit):
        if not _may_change(path, folder=folder):
            yield path


def _files(directory: Path, audit_file: str, depth: int) -> Iterator[tuple[Path, bool]]:
    """The bridge's files and folders, and whether each is a folder; top down."""
    single = [*directory.glob("index.sqlite*")]
    if audit_file not in ("", "-") and (directory / audit_file).exists():
        single.append(directory / audit_file)
    yield from ((path, False) for path in single)
    for name in _OURS:
        if (directory / name).is_dir():
            yield directory / name, True
            yield from _below(directory / name, depth - 1)


def _below(folder: Path, depth: int) -> Iterator[tuple[Path, bool]]:
    waiting = [(folder, depth)]
    while waiting:
        folder, depth = waiting.pop()
        if depth == 0:
            continue
        with contextlib.suppress(OSError), os.scandir(folder) as entries:  # it may have gone, or be named already
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                yield Path(entry.path), is_folder
                if is_folder:
                    waiting.append((Path(entry.path), depth - 1))


def _may_change(path: Path, *, folder: bool) -> bool:
    allowed = os.access(path, os.R_OK | os.W_OK | (os.X_OK if folder else 0), effective_ids=True)
    return allowed or not os.path.lexists(path)  # gone meanwhile: the doors may be running


@contextlib.contextmanager
def _refusal(user: User) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot become the user {user}: {error.strerror}; start as root, or as {user} itself"
        ) from error


def _take_groups(user: User) -> None:
    if user.name:
        os.initgroups(user.name, user.gid)
    else:
        os.setgroups([user.gid])


def _keep_capability(mask: int) -> bool:
    """Of the capabilities that were kept, only these; False when the kernel does not have them to give."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    return bool(_LIBC.capset(header, struct.pack("=6I", mask, mask, 0, 0, 0, 0)) == 0)


def _allow_looking_at_itself() -> None:
    """A process that changed its user may not read its own /proc entry until it says so; stores need theirs."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 1)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
