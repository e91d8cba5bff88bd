"""Passcodes are kept as salted hashes only."""

from __future__ import annotations

import pytest

from bridge.passcodes import admits, entry, is_entry

ALICE = entry("alice", "secret", salt=bytes(16))


def test_an_entry_admits_its_user_with_its_passcode_only() -> None:
    assert admits(ALICE, "alice", b"secret")
    assert not admits(ALICE, "alice", b"Secret")
    assert not admits(ALICE, "alice", None)
    assert not admits(ALICE, "bob", b"secret")


def test_a_user_without_a_passcode_is_admitted_by_name() -> None:
    assert admits(entry("bob", None), "bob", None)
    assert admits(entry("bob", None), "bob", b"whatever")
    assert not admits(entry("bob", None), "alice", None)


def test_the_same_passcode_looks_different_each_time_and_never_shows() -> None:
    first, second = entry("alice", "secret"), entry("alice", "secret")
    assert first != second
    assert "secret" not in first
    assert admits(first, "alice", b"secret")
    assert admits(second, "alice", b"secret")


@pytest.mark.parametrize("text", [ALICE, "bob", "a@b.example"])
def test_what_was_made_is_an_entry(text: str) -> None:
    assert is_entry(text)


@pytest.mark.parametrize("text", ["", "alice:secret", "a b", "alice:scrypt$00$00", "x" * 65])
def test_what_was_not_is_none(text: str) -> None:
    assert not is_entry(text)
