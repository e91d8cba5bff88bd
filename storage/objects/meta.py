"""The limits of what an object may carry, the same on every backend (LIFECYCLE §2.4). Pure.

They are the narrowest of the stores in use: ten tags; tag names below 36 and values below 43 characters of the set
every S3 takes; user metadata of printable ASCII, at most 1.5 KB with the `X-Amz-Meta-` that MinIO counts too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from storage.errors import InvalidMeta, ObjectHeld
from storage.objects.base import ObjectMeta

TAGS = 10
TAG_NAME_LENGTH = 35
TAG_VALUE_LENGTH = 42
USER_BYTES = 1536
USER_PREFIX = "X-Amz-Meta-"
_REMEMBERED = 256  # sets of tags

_TAG_NAME = re.compile(rf"[A-Za-z0-9 _.:/=+@-]{{1,{TAG_NAME_LENGTH}}}")
_TAG_VALUE = re.compile(rf"[A-Za-z0-9 _.:/=+@-]{{0,{TAG_VALUE_LENGTH}}}")
# All names and values at once, a line each: one match an object instead of one a value. Names are lower case, because
# header names lose their case on the way; values have no outer spaces, because they lose those.
_USER = re.compile(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*\n(?:[!-~](?:[ -~]*[!-~])?)?\n)*")


def check_meta(meta: ObjectMeta, now: datetime) -> ObjectMeta:
    """Return `meta` if every store takes it, else raise InvalidMeta."""
    check_tags(meta.tags)
    lines = "".join(f"{name}\n{value}\n" for name, value in meta.user.items())
    if lines.count("\n") != 2 * len(meta.user) or not _USER.fullmatch(lines):
        raise InvalidMeta("user metadata is lower-case names and printable ASCII without outer spaces")
    if len(lines) + len(meta.user) * (len(USER_PREFIX) - 2) > USER_BYTES:  # two line ends are no part of it
        raise InvalidMeta(f"user metadata is larger than {USER_BYTES} bytes")
    if meta.retain_until is not None:
        check_retain_until(meta.retain_until)
        if meta.retain_until <= now:
            raise InvalidMeta("the lock would end in the past")
    return meta


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise InvalidMeta for tags that some store would refuse."""
    _check_tags(tuple(tags.items()))


@lru_cache(maxsize=_REMEMBERED)
def _check_tags(tags: tuple[tuple[str, str], ...]) -> None:
    """Most objects carry the tags of the one before."""
    if len(tags) > TAGS:
        raise InvalidMeta(f"an object has at most {TAGS} tags")
    for name, value in tags:
        if not _TAG_NAME.fullmatch(name) or not _TAG_VALUE.fullmatch(value) or value != value.strip():
            raise InvalidMeta("a tag is too long or has a character that some store refuses")


def check_retain_until(until: datetime) -> None:
    """Raise InvalidMeta for a date without a zone: the SDK would take it for UTC."""
    if until.tzinfo is None:
        raise InvalidMeta("the end of a lock needs a time zone")


def raise_if_held(meta: ObjectMeta, now: datetime) -> None:
    """Raise ObjectHeld while a legal hold is on or the lock has not ended."""
    if meta.legal_hold:
        raise ObjectHeld("the object is under legal hold")
    if meta.retain_until is not None and meta.retain_until > now:
        raise ObjectHeld(f"the object is locked until {meta.retain_until.isoformat()}")


def extended(meta: ObjectMeta, until: datetime) -> ObjectMeta:
    """`meta` locked until then. Raises ObjectHeld when that would shorten the lock."""
    check_retain_until(until)
    if meta.retain_until is not None and until < meta.retain_until:
        raise ObjectHeld("a lock can only be lengthened")
    return replace(meta, retain_until=until)
