"""What a store really does, found out by doing it (LIFECYCLE §2.6): some accept a lock and then delete the object."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from storage.errors import ObjectExists, ObjectHeld, StorageError
from storage.objects.base import ObjectInfo, ObjectMeta
from storage.objects.payload import Payload
from storage.objects.s3.wire import server_time

if TYPE_CHECKING:
    from storage.objects.s3.store import S3Store

VERIFIED, NOT_ENFORCED, ABSENT = "verified", "accepts but does not enforce", "absent"
_LOCK_FOR = timedelta(seconds=60)
_SKEW_LIMIT_S = 300  # S3 refuses requests signed more than 15 minutes off
_DATE_GRAIN_S = 1.5  # a Date header has whole seconds, and some servers keep one for a second
_BODY = b"capability probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """One row each in `doctor`. `worm`, `legal_hold`: verified | accepts but does not enforce | absent."""

    server: str  # as it names itself
    clock_skew_s: float  # the store's clock minus ours; 0 within the grain of its Date header
    versioning: bool
    worm: str
    legal_hold: str
    tags: bool
    user_metadata: bool
    conditional_put: bool  # If-None-Match: * is honoured
    lifecycle: bool  # the call exists; expiry itself is never tried

    def findings(self) -> list[tuple[str, str, str]]:
        """(what, ok | warning | wrong, text), one row each."""
        return [
            ("WORM", _verdict(self.worm), self.worm),
            ("legal hold", _verdict(self.legal_hold), self.legal_hold),
            _row("versioning", self.versioning, "kept", "off: a deleted object is gone at once"),
            _row("tags and metadata", self.tags and self.user_metadata, "kept", "lost: a rebuild is not possible"),
            _row("conditional put", self.conditional_put, "honoured", "ignored: keys are unique all the same"),
            _row("lifecycle rules", self.lifecycle, "accepted", "not there: expiry is the bridge's own work only"),
            _row("clock", abs(self.clock_skew_s) < _SKEW_LIMIT_S, *[f"{self.clock_skew_s:+.0f} s from ours"] * 2),
        ]


def probe(store: S3Store) -> Capabilities:
    """Put, tag, lock, hold and try to delete objects below `probe/`. Raises StorageUnavailable without an answer.

    A scratch object that the store refuses to delete at the end is free one minute later and stays as an orphan.
    """
    answer = store.wire.request("GET", query={"location": ""})
    theirs, ours = server_time(answer), store.now()
    skew = theirs - ours if theirs else timedelta(0)
    if abs(skew.total_seconds()) < _DATE_GRAIN_S:
        skew = timedelta(0)
    tags, user = _carries(store)
    return Capabilities(
        server=answer.headers.get("Server", ""),
        clock_skew_s=skew.total_seconds(),
        versioning=store.is_versioned(),
        worm=_refuses_delete(store, ObjectMeta(retain_until=ours + max(skew, timedelta(0)) + _LOCK_FOR), _unlock),
        legal_hold=_refuses_delete(store, ObjectMeta(legal_hold=True), _release),
        tags=tags,
        user_metadata=user,
        conditional_put=_is_conditional(store),
        lifecycle=_has_lifecycle(store),
    )


def _verdict(enforced: str) -> str:
    return {VERIFIED: "ok", NOT_ENFORCED: "wrong"}.get(enforced, "warning")


def _row(what: str, works: bool, yes: str, no: str) -> tuple[str, str, str]:
    return (what, "ok", yes) if works else (what, "warning", no)


def _carries(store: S3Store) -> tuple[bool, bool]:
    meta = ObjectMeta(tags={"probe": "1"}, user={"probe": "1"})
    try:
        info = _put(store, meta)
        found = store.meta(info.key, version_id=info.version_id)
        store.delete(info.key, version_id=info.version_id)
    except StorageError:
        return False, False
    return found.tags == meta.tags, found.user == meta.user


def _refuses_delete(store: S3Store, meta: ObjectMeta, free: Callable[[S3Store, ObjectInfo], None]) -> str:
    """Whether deleting exactly that version is refused; a delete without a version proves nothing."""
    try:
        info = _put(store, meta)
    except StorageError:
        return ABSENT
    try:
        found = store.meta(info.key, version_id=info.version_id)
        if (found.retain_until is None) != (meta.retain_until is None) or found.legal_hold != meta.legal_hold:
            return ABSENT
        store.delete(info.key, version_id=info.version_id)
    except ObjectHeld:
        return VERIFIED
    except StorageError:
        return ABSENT
    else:
        return NOT_ENFORCED
    finally:
        with suppress(StorageError):
            free(store, info)


def _unlock(store: S3Store, info: ObjectInfo) -> None:
    """Governance mode lets an administrator delete; elsewhere the lock runs out by itself."""
    query = {"versionId": info.version_id} if info.version_id else {}
    store.wire.request("DELETE", info.key, query=query, headers={"x-amz-bypass-governance-retention": "true"})


def _release(store: S3Store, info: ObjectInfo) -> None:
    store.set_legal_hold(info.key, False, version_id=info.version_id)
    store.delete(info.key, version_id=info.version_id)


def _is_conditional(store: S3Store) -> bool:
    key = f"probe/{secrets.token_hex(8)}"
    try:
        _put(store, ObjectMeta(), key)
        try:
            _put(store, ObjectMeta(), key)
        except ObjectExists:
            return True
        finally:
            store.delete(key)
    except StorageError:
        return False
    return False


def _has_lifecycle(store: S3Store) -> bool:
    try:
        store.wire.request("GET", query={"lifecycle": ""})
    except StorageError as error:
        return getattr(error, "code", "") == "NoSuchLifecycleConfiguration"
    return True


def _put(store: S3Store, meta: ObjectMeta, key: str = "") -> ObjectInfo:
    return store.put(key or f"probe/{secrets.token_hex(8)}", Payload.of(_BODY), meta=meta)
