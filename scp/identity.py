"""User identity: who is behind an association (PS3.7 §D.3.3.7; DICOM.md D11).

User name, and user name with passcode, are checked against the peer's `users`. Kerberos, SAML and JSON Web Tokens
cannot be verified here: a setting says whether an association that brings one is refused, or goes on as if it had none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from bridge.passcodes import admits
from bridge.settings import Dimse, Peer
from scp.negotiation import Item, Request
from scp.peers import NO_REASON_GIVEN, Refused

_HEAD = struct.Struct(">BBH")  # type, positive response requested, length of the primary field (PS3.7 Table D.3-14)
_LENGTH = struct.Struct(">H")


class Kind(IntEnum):
    """PS3.7 Table D.3-14."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True, slots=True)
class Identity:
    """What a requestor says about its user. The fields are secrets and never printed."""

    kind: int
    wants_response: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False)


def identity_of(request: Request) -> Identity | None:
    """The user identity in a request; None without one, and for one whose lengths contradict each other: who must name
    a user has not done so then, and nobody else is turned away for it."""
    value = request.user_items.get(Item.USER_IDENTITY, (b"",))[0]
    if len(value) < _HEAD.size:
        return None
    kind, wants_response, length = _HEAD.unpack_from(value)
    end = _HEAD.size + length
    primary, rest = value[_HEAD.size : end], value[end:]
    if len(primary) != length or len(rest) < _LENGTH.size or len(rest) - _LENGTH.size != _LENGTH.unpack_from(rest)[0]:
        return None
    return Identity(kind, wants_response == 1, primary, rest[_LENGTH.size :])


def check(identity: Identity | None, peer: Peer | None, dimse: Dimse) -> bool:
    """Whether the identity was verified and the requestor wants to hear that (sub-item 59H). Raises Refused."""
    users = peer.users if peer else ()
    if identity is not None and identity.kind not in (Kind.USERNAME, Kind.USERNAME_AND_PASSCODE):
        if dimse.unverifiable_identities == "refuse" or users:
            raise Refused(NO_REASON_GIVEN, f"an identity by {_name(identity.kind)} cannot be verified here")
        return False
    if not users:
        return False  # nobody asks; an acceptor that does not verify says nothing of it
    name = peer.name if peer else ""
    if identity is None:
        raise Refused(NO_REASON_GIVEN, f"the peer {name} must say who its user is, and does not")
    passcode = identity.secondary if identity.kind == Kind.USERNAME_AND_PASSCODE else None
    user = identity.primary.decode("utf-8", "replace")
    if not any(admits(entry, user, passcode) for entry in users):
        raise Refused(NO_REASON_GIVEN, f"the peer {name} has no such user, or another passcode")
    return identity.wants_response


def _name(kind: int) -> str:
    return Kind(kind).name if kind in Kind._value2member_map_ else f"the unknown type {kind}"
