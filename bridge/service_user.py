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
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.errors import ConfigError
from bridge.settings import Settings

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
