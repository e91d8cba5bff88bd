"""The operating system's errors in the vault's words; messages never name a path."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from storage.errors import StorageError, StorageFull, StorageUnavailable

NO_PARENT = (errno.ENOENT, errno.ENOTDIR)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def refusals(*, missing: type[StorageError] = StorageUnavailable) -> Iterator[None]:
    """Raise what `refusal` makes of an OSError from inside."""
    try:
        yield
    except OSError as error:
        raise refusal(error, missing) from error


def refusal(error: OSError, missing: type[StorageError]) -> StorageError:
    """StorageFull, `missing` where a file or a directory is not there, or StorageUnavailable."""
    message = f"the file system refuses: {error.strerror}"
    if error.errno in _FULL:
        return StorageFull(message)
    return missing(message) if error.errno in NO_PARENT else StorageUnavailable(message)
