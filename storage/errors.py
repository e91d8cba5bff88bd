"""What can go wrong in the vault. Verbs in `bridge` wrap these in DICOM's words; doors never see them."""


class StorageError(Exception):
    """Base of everything the vault raises."""


class ObjectNotFound(StorageError):
    """No object under this key (and version)."""


class ObjectExists(StorageError):
    """The key is taken; a key is used once, ever (DESIGN law 2)."""


class ObjectHeld(StorageError):
    """Retention lock or legal hold forbids removing the object."""


class StorageFull(StorageError):
    """The store or its quota has no room for these bytes."""


class StorageUnavailable(StorageError):
    """The store or the index did not answer in time, or refused for a reason of its own."""


class IngestExpired(StorageError):
    """The commit comes too long after the put; the orphan sweep may already own the object (DESIGN law 3)."""


class SchemaMismatch(StorageError):
    """The index has an older or newer schema than this program; `dicom-bridge migrate` is the way out."""


class InvalidKey(StorageError):
    """A key segment that no store may ever see (`..`, slashes, empty, too long)."""


class InvalidQuery(StorageError):
    """A match value that its VR does not allow (a bad date, a wildcard in a UID)."""


class InvalidMeta(StorageError):
    """Tags, user metadata or a lock date that some store would refuse (LIFECYCLE 2.4); refused alike on all of them."""
