"""What of the bridge's files is out of the service user's reach: one sentence says so and nothing is changed."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bridge import service_user
from bridge.errors import ConfigError
from bridge.folders import DIRECTORY_MODE
from bridge.service_user import User
from bridge.settings import Settings

_OURS = ("hot", "landing", "spool", "run", "thumbnails")  # folders below storage.directory; others are not looked at
_START_DEPTH = 3  # folders below the data folder that a start looks through: as deep as hot/objects/<site>


def take_over(settings: Settings) -> None:
    """What a verb begins with: as root, become the service user. Raises ConfigError when it cannot write its files."""
    user = service_user.service_user(settings) if os.geteuid() == 0 else None
    if user is not None:
        make_folder(settings.storage.directory, user)
        service_user.become(user, reading_all=True)
        check(settings, user)


def make_folder(directory: Path, user: User) -> None:
    """A data folder that is not there yet is made, and is theirs; one that is there is left as it is."""
    directory = directory.absolute()
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=DIRECTORY_MODE if one == directory else 0o777, exist_ok=True)
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


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
