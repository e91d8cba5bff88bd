"""Who may do what: bearer keys, sites, scopes. The only module that says no (DESIGN §13 rule 10).

A key is shown once, when it is made; only its SHA-256 is kept. While there is no live key and nothing says otherwise,
callers from loopback are let in, so that a single box works at once; the first key ends that.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bridge.addresses import is_loopback
from bridge.archive import Archive
from bridge.errors import ConfigError, Forbidden
from storage.errors import ObjectExists
from storage.index.registry import AccessKey
from storage.keys import SITE

SCOPES = ("read", "write", "admin")
SECRET_PREFIX = "brk_"  # noqa: S105  # a public prefix that lets secret scanners recognise a leaked key
_KEYS_KNOWN_S = 5.0  # how long "are there any keys" is remembered


class Unauthenticated(Forbidden):
    """No usable key where one is needed: 401, where Forbidden is 403."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: a key's name (or `anonymous`), the site they see, what they may do."""

    name: str
    site: str
    scopes: frozenset[str]


class Gate:
    """Authenticates callers of one process against the archive's keys."""

    def __init__(self, archive: Archive, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._archive = archive
        self._monotonic = monotonic
        self._any_key = False
        self._looked_at = float("-inf")

    def authenticate(self, bearer: str | None, address: str) -> Principal:
        """The principal of a request. Raises Unauthenticated without a usable key where one is needed."""
        http = self._archive.settings.http
        if bearer is not None:
            return self._by_key(bearer)
        if http.allow_anonymous:
            return Principal("anonymous", http.anonymous_site, frozenset({"read"}))
        if not http.require_key and is_loopback(address) and not self._keys_exist():
            return Principal("anonymous", http.anonymous_site, frozenset(SCOPES))
        raise Unauthenticated("a bearer key is needed; an administrator makes one with `dicom-bridge keys add`")

    def _by_key(self, bearer: str) -> Principal:
        key = self._archive.registry.key_by_hash(key_hash(bearer))
        if key is None or key.revoked_at is not None:
            raise Unauthenticated("the bearer key is unknown or revoked")
        return Principal(key.name, key.site, frozenset(key.scopes))

    def _keys_exist(self) -> bool:
        now = self._monotonic()
        if now - self._looked_at > _KEYS_KNOWN_S:
            self._any_key = any(key.revoked_at is None for key in self._archive.registry.access_keys())
            self._looked_at = now
        return self._any_key


def require(principal: Principal, scope: str) -> None:
    """Raise Forbidden unless the principal has `scope`; admin has all of them."""
    if scope not in principal.scopes and "admin" not in principal.scopes:
        raise Forbidden(f"the key {principal.name!r} has no {scope} scope")


def key_hash(secret: str) -> str:
    """What is kept of a key. The secret has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_key(archive: Archive, name: str, *, site: str, scopes: tuple[str, ...], at: datetime) -> str:
    """Make a key and return its secret, which is never shown again. Raises ConfigError for a bad name or scope."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise ConfigError(f"scopes are {', '.join(SCOPES)}; {', '.join(unknown) or 'none'} was given")
    if not SITE.fullmatch(site) or not SITE.fullmatch(name):
        raise ConfigError("names and sites are lower-case letters, digits, - and _, 63 at most")
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    try:
        archive.registry.add_key(
            AccessKey(name=name, key_hash=key_hash(secret), site=site, scopes=scopes, created_at=at)
        )
    except ObjectExists as error:
        raise ConfigError(f"there is a live key named {name!r}; revoke it first or take another name") from error
    return secret
