"""User identity negotiation (PS3.7 §D.3.3.7; D11)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from bridge.errors import ConfigError
from bridge.passcodes import entry
from bridge.peers import check
from bridge.settings import Peer as KnownPeer
from tests.bridge.archives import part10
from tests.conftest import Dcmtk
from tests.scp.running import RunningDoor, running_door, settings
from tests.scp.wire import ASSOCIATE_AC, ASSOCIATE_RJ, ECHO_CONTEXT, MAXIMUM_LENGTH, Peer, associate, item, items

USERS = (entry("alice", "secret", salt=bytes(16)), "bob")
KNOWN = KnownPeer(name="ct-1", ae_title="SENDER", users=USERS)
NO_REASON = bytes((1, 1, 1))


def identity(kind: int, primary: bytes, secondary: bytes = b"", *, asks: bool = False) -> bytes:
    """The sub-item 58H."""
    fields = struct.pack(">BBH", kind, asks, len(primary)) + primary + struct.pack(">H", len(secondary)) + secondary
    return item(0x58, fields)


def answer(door: RunningDoor, *sub_items: bytes) -> tuple[int, bytes]:
    """The answer to an association that names this user."""
    with Peer(door.address) as peer:
        peer.send(associate(ECHO_CONTEXT, user_items=MAXIMUM_LENGTH + b"".join(sub_items)))
        return peer.read()


def confirmations(body: bytes) -> list[bytes]:
    """The sub-items 59H of an A-ASSOCIATE-AC."""
    return [value for kind, outer in items(body[68:]) if kind == 0x50 for sub, value in items(outer) if sub == 0x59]


@pytest.mark.parametrize(
    "said",
    [identity(2, b"alice", b"secret"), identity(1, b"bob"), identity(2, b"bob", b"anything")],
    ids=["name and passcode", "name", "a passcode that nobody asks for"],
)
def test_d11_a_known_user_is_admitted(tmp_path: Path, said: bytes) -> None:
    with running_door(tmp_path, settings(peers=(KNOWN,))) as door:
        kind, body = answer(door, said)
        assert (kind, confirmations(body)) == (ASSOCIATE_AC, [])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "must say who its user is"),
        (identity(2, b"alice", b"wrong"), "no such user, or another passcode"),
        (identity(1, b"alice"), "no such user, or another passcode"),
        (identity(2, b"mallory", b"secret"), "no such user, or another passcode"),
        (identity(3, b"ticket"), "by KERBEROS cannot be verified"),
        (identity(5, b"a.b.c"), "by JWT cannot be verified"),
        (identity(9, b"x"), "by the unknown type 9 cannot be verified"),
    ],
)
def test_anybody_else_is_refused_without_a_reason_and_the_log_knows_it(
    tmp_path: Path, said: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running_door(tmp_path, settings(peers=(KNOWN,))) as door:
        kind, body = answer(door, said)
        assert (kind, body[1:]) == (ASSOCIATE_RJ, NO_REASON)
    assert why in caplog.text
    assert "secret" not in caplog.text


def test_who_asks_for_a_positive_response_gets_one(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(peers=(KNOWN,))) as door:
        kind, body = answer(door, identity(2, b"alice", b"secret", asks=True))
        assert (kind, confirmations(body)) == (ASSOCIATE_AC, [b"\0\0"])


def test_an_identity_that_nobody_verifies_is_not_confirmed(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        kind, body = answer(door, identity(2, b"alice", b"secret", asks=True))
        assert (kind, confirmations(body)) == (ASSOCIATE_AC, [])


@pytest.mark.parametrize("kind", [3, 4, 5])
def test_what_cannot_be_verified_is_refused_or_ignored_by_setting(tmp_path: Path, kind: int) -> None:
    said = identity(kind, b"ticket", asks=True)
    with running_door(tmp_path / "a", settings(unverifiable_identities="refuse")) as door:
        assert answer(door, said)[0] == ASSOCIATE_RJ
    with running_door(tmp_path / "b", settings(unverifiable_identities="ignore")) as door:
        found, body = answer(door, said)
        assert (found, confirmations(body)) == (ASSOCIATE_AC, [])


@pytest.mark.parametrize("value", [b"", b"\2\0\0\x05ab", b"\2\0\0\1a\0\x05b", b"\1\0\0\1a"])
def test_contradicting_lengths_name_nobody(tmp_path: Path, value: bytes) -> None:
    with running_door(tmp_path / "asks", settings(peers=(KNOWN,))) as door:
        assert answer(door, item(0x58, value))[1][1:] == NO_REASON
    with running_door(tmp_path / "asks-not") as door:
        assert answer(door, item(0x58, value))[0] == ASSOCIATE_AC


def test_a_refused_user_leaves_no_slot_taken(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(peers=(KNOWN,), associations=1)) as door:
        for _ in range(3):
            assert answer(door, identity(1, b"mallory"))[1][1:] == NO_REASON


def test_a_user_that_was_not_made_by_the_command_is_refused() -> None:
    with pytest.raises(ConfigError, match="peers user"):
        check(KnownPeer(name="a", ae_title="A", users=("alice:secret",)))


def test_dcmtk_names_its_user(tmp_path: Path, dcmtk: Dcmtk) -> None:
    image = tmp_path / "1.dcm"
    image.write_bytes(part10(1))
    with running_door(tmp_path / "door", settings(peers=(KNOWN,))) as door:
        for passcode, expected in (("wrong", 0), ("secret", 1)):
            user = ("-usr", "alice", "-pwd", passcode, "-rsp")
            done = dcmtk.run("storescu", "-aet", "SENDER", *user, "127.0.0.1", str(door.port), image)
            assert (done.returncode == 0) == bool(expected), done.stderr
            assert door.count() == expected


def test_pynetdicom_names_its_user(tmp_path: Path) -> None:
    def associates(passcode: bytes) -> bool:
        user: Any = UserIdentityNegotiation()
        user.user_identity_type, user.primary_field, user.secondary_field = 2, b"alice", passcode
        user.positive_response_requested = True
        entity = AE(ae_title="SENDER")
        entity.add_requested_context(Verification)
        association = entity.associate("127.0.0.1", door.port, ext_neg=[user])
        established = bool(association.is_established)
        association.release()
        return established

    with running_door(tmp_path, settings(peers=(KNOWN,))) as door:
        assert associates(b"secret")
        assert not associates(b"wrong")
