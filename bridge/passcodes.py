"""Passcodes that people and devices choose, kept only as slow, salted hashes (RFC 7914). Pure.

A user is written as `NAME`, or as `NAME:scrypt$SALT$HASH` where a passcode is asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_COST = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}  # about 50 ms and 16 MiB a try
_SALT_BYTES = 16
_USER = re.compile(r"[^:,\s]{1,64}(:scrypt\$[0-9a-f]{32}\$[0-9a-f]{64})?")


def entry(name: str, passcode: str | None, *, salt: bytes | None = None) -> str:
    """The entry of a user; without a passcode the name alone is enough."""
    if passcode is None:
        return name
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return f"{name}:scrypt${salt.hex()}${_hash(passcode.encode(), salt).hex()}"


def is_entry(text: str) -> bool:
    """Whether this is how a user is written."""
    return _USER.fullmatch(text) is not None


def admits(text: str, name: str, passcode: bytes | None) -> bool:
    """Whether the entry is that of `name`, and the passcode its own, where it asks for one."""
    known, _, kept = text.partition(":")
    if known != name:
        return False
    if not kept:
        return True
    if passcode is None:
        return False
    _, salt, hashed = kept.split("$")
    return hmac.compare_digest(_hash(passcode, bytes.fromhex(salt)), bytes.fromhex(hashed))


def _hash(passcode: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(passcode, salt=salt, **_COST)
