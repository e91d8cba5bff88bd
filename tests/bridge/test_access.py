"""Who may do what: keys, scopes, and the single box that needs none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.access import Gate, Principal, Unauthenticated, add_key, key_hash, require
from bridge.addresses import is_loopback
from bridge.archive import Archive
from bridge.errors import ConfigError, Forbidden
from tests.bridge.archives import open_test_archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    yield opened
    opened.close()


def new_key(archive: Archive, name: str = "viewer", *scopes: str) -> str:
    return add_key(archive, name, site="north", scopes=scopes or ("read",), at=archive.now())


def test_a_key_opens_its_site_with_its_scopes(archive: Archive) -> None:
    secret = new_key(archive, "viewer", "read", "write")
    assert Gate(archive).authenticate(secret, "10.0.0.1") == Principal("viewer", "north", frozenset({"read", "write"}))


def test_only_the_hash_of_a_key_is_kept(archive: Archive) -> None:
    secret = new_key(archive)
    [kept] = archive.registry.access_keys()
    assert kept.key_hash == key_hash(secret)
    assert secret not in repr(kept)


def test_an_unknown_or_revoked_key_is_refused(archive: Archive) -> None:
    secret = new_key(archive)
    gate = Gate(archive)
    with pytest.raises(Unauthenticated):
        gate.authenticate("brk_guess", "127.0.0.1")
    assert archive.registry.revoke_key("viewer", archive.now())
    with pytest.raises(Unauthenticated):
        gate.authenticate(secret, "127.0.0.1")


def test_without_any_key_only_loopback_comes_in(archive: Archive) -> None:
    gate = Gate(archive)
    assert gate.authenticate(None, "127.0.0.1").scopes == {"read", "write", "admin"}
    with pytest.raises(Unauthenticated):
        gate.authenticate(None, "10.0.0.1")


def test_the_first_key_ends_free_entry_from_loopback(archive: Archive) -> None:
    now = [0.0]
    gate = Gate(archive, monotonic=lambda: now[0])
    gate.authenticate(None, "127.0.0.1")
    new_key(archive)
    now[0] = 60.0
    with pytest.raises(Unauthenticated):
        gate.authenticate(None, "127.0.0.1")


def test_require_key_closes_loopback_too(archive: Archive) -> None:
    archive.settings = replace(archive.settings, http=replace(archive.settings.http, require_key=True))
    with pytest.raises(Unauthenticated):
        Gate(archive).authenticate(None, "127.0.0.1")


def test_allowed_anonymous_callers_only_read(archive: Archive) -> None:
    archive.settings = replace(archive.settings, http=replace(archive.settings.http, allow_anonymous=True))
    assert Gate(archive).authenticate(None, "10.0.0.1").scopes == {"read"}


def test_scopes_are_required_and_admin_has_all() -> None:
    reader = Principal("r", "north", frozenset({"read"}))
    require(reader, "read")
    with pytest.raises(Forbidden, match="write"):
        require(reader, "write")
    require(Principal("a", "north", frozenset({"admin"})), "write")


@pytest.mark.parametrize(
    ("name", "site", "scopes"),
    [("Viewer", "north", ("read",)), ("v", "../x", ("read",)), ("v", "north", ("root",)), ("v", "north", ())],
)
def test_a_bad_name_site_or_scope_is_named(archive: Archive, name: str, site: str, scopes: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        add_key(archive, name, site=site, scopes=scopes, at=archive.now())


def test_a_taken_name_is_refused_until_it_is_revoked(archive: Archive) -> None:
    new_key(archive)
    with pytest.raises(ConfigError, match="revoke"):
        new_key(archive)
    archive.registry.revoke_key("viewer", archive.now())
    new_key(archive)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *[(text, True) for text in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "localhost")],
        *[(text, False) for text in ("10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "evil")],
    ],
)
def test_loopback_is_recognised(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
