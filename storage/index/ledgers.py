"""Keys, peers and leases: the registry's small tables. Each function is one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_or

from storage.errors import ObjectExists
from storage.index.changes import LOCK
from storage.index.database import Session
from storage.index.registry import AccessKey, PeerDefinition, PeerTraffic, RefusedPeer
from storage.index.schema import access_key, lease, peer, peer_traffic, refused_peer
from storage.index.sql import at, settable
from storage.index.values import cleaned, microseconds, moment

REFUSED_KEPT = 1000


def add_key(session: Session, key: AccessKey) -> None:
    """Keep a key whose name no live key has."""
    if session.row(_LIVE, {"at_name": key.name}) is not None:
        raise ObjectExists(f"a key named {key.name} exists")
    session.run(
        _ADD_KEY,
        {
            "name": key.name,
            "key_hash": key.key_hash,
            "site": key.site,
            "scopes": ",".join(key.scopes),
            "created_at": microseconds(key.created_at),
            "revoked_at": None if key.revoked_at is None else microseconds(key.revoked_at),
        },
    )


def key_by_hash(session: Session, key_hash: str) -> AccessKey | None:
    """The key with this hash."""
    row = session.row(_BY_HASH, {"at_key_hash": key_hash})
    return None if row is None else _key(row)


def access_keys(session: Session) -> list[AccessKey]:
    """All keys, oldest first."""
    return [_key(row) for row in session.rows(_KEYS)]


def revoke_key(session: Session, name: str, when: datetime) -> bool:
    """Revoke the live key of that name."""
    return session.run(_REVOKE, {"at_name": name, "revoked_at": microseconds(when)}) == 1


def note_refused(session: Session, peer: RefusedPeer) -> None:
    """Count a refusal; the oldest rows beyond REFUSED_KEPT go."""
    session.rows(LOCK)  # two at once would not see each other's row
    session.run(
        _REFUSE,
        {
            "calling_ae_title": cleaned(peer.calling_ae_title),
            "called_ae_title": cleaned(peer.called_ae_title),
            "address": cleaned(peer.address),
            "reason": cleaned(peer.reason),
            "first_at": microseconds(peer.first_at),
            "last_at": microseconds(peer.last_at),
            "times": peer.times,
        },
    )
    session.run(_FORGET_REFUSED, {"kept": REFUSED_KEPT})


def refused(session: Session) -> list[RefusedPeer]:
    """Refused callers, latest first."""
    return [
        RefusedPeer(
            calling_ae_title=calling,
            called_ae_title=called,
            address=address,
            reason=reason,
            first_at=moment(first_at),
            last_at=moment(last_at),
            times=times,
        )
        for calling, called, address, reason, first_at, last_at, times in session.rows(_REFUSED)
    ]


def note_received(session: Session, traffic: PeerTraffic) -> None:
    """Add to a peer's totals."""
    session.run(
        _RECEIVE,
        {
            "ae_title": cleaned(traffic.ae_title),
            "address": cleaned(traffic.address),
            "last_received_at": microseconds(traffic.last_received_at),
            "instances": traffic.instances,
            "size_bytes": traffic.size_bytes,
        },
    )


def traffic(session: Session) -> list[PeerTraffic]:
    """All peers that delivered, latest first."""
    return [
        PeerTraffic(
            ae_title=ae_title, address=address, last_received_at=moment(at_), instances=instances, size_bytes=size_bytes
        )
        for ae_title, address, at_, instances, size_bytes in session.rows(_TRAFFIC)
    ]


def take_lease(session: Session, name: str, holder: str, now: datetime, seconds: float) -> bool:
    """Take or extend a lease that nobody else holds."""
    until = microseconds(now + timedelta(seconds=seconds))
    return session.run(_LEASE, {"name": name, "holder": holder, "until": until, "now": microseconds(now)}) == 1


def put_peer(session: Session, kept: PeerDefinition) -> None:
    """Keep a peer in place of the one of that name."""
    row = {"name": kept.name, "definition": kept.definition, "changed_at": microseconds(kept.changed_at)}
    session.run(_PUT_PEER, row)


def remove_peer(session: Session, name: str) -> bool:
    """Forget a peer."""
    return session.run(_DROP_PEER, {"at_name": name}) == 1


def kept_peers(session: Session) -> list[PeerDefinition]:
    """All peers that are kept here, by name."""
    return [
        PeerDefinition(name=name, definition=definition, changed_at=moment(changed_at))
        for name, definition, changed_at in session.rows(_PEERS)
    ]


def _key(row: tuple[Any, ...]) -> AccessKey:
    name, key_hash, site, scopes, created_at, revoked_at = row
    return AccessKey(
        name=name,
        key_hash=key_hash,
        site=site,
        scopes=tuple(scope for scope in scopes.split(",") if scope),
        created_at=moment(created_at),
        revoked_at=None if revoked_at is None else moment(revoked_at),
    )


_KEY_COLUMNS = ("name", "key_hash", "site", "scopes", "created_at", "revoked_at")
_ADD_KEY = insert(access_key).values(settable(access_key, *_KEY_COLUMNS))
_ALL_KEYS = select(*(access_key.c[name] for name in _KEY_COLUMNS))
_KEYS = _ALL_KEYS.order_by(access_key.c.created_at, access_key.c.id)
_BY_HASH = _ALL_KEYS.where(at(access_key, "key_hash"))
_LIVE = select(access_key.c.id).where(at(access_key, "name"), access_key.c.revoked_at.is_(None))
_REVOKE = (
    update(access_key)
    .values(settable(access_key, "revoked_at"))
    .where(at(access_key, "name"), access_key.c.revoked_at.is_(None))
)

_refusal = insert_or(refused_peer).values(settable(refused_peer, *(column.name for column in refused_peer.c)))
_REFUSE = _refusal.on_conflict_do_update(
    index_elements=list(refused_peer.primary_key),
    set_={"last_at": _refusal.excluded.last_at, "times": refused_peer.c.times + _refusal.excluded.times},
)
_IDENTITY = tuple(refused_peer.primary_key)
_LATEST = (refused_peer.c.last_at.desc(), *_IDENTITY)
_FORGET_REFUSED = delete(refused_peer).where(
    tuple_(*_IDENTITY).in_(select(*_IDENTITY).order_by(*_LATEST).limit(1 << 30).offset(bindparam("kept")))
)
_REFUSED = select(refused_peer).order_by(*_LATEST)

_delivery = insert_or(peer_traffic).values(settable(peer_traffic, *(column.name for column in peer_traffic.c)))
_RECEIVE = _delivery.on_conflict_do_update(
    index_elements=list(peer_traffic.primary_key),
    set_={
        "last_received_at": _delivery.excluded.last_received_at,
        "instances": peer_traffic.c.instances + _delivery.excluded.instances,
        "size_bytes": peer_traffic.c.size_bytes + _delivery.excluded.size_bytes,
    },
)
_TRAFFIC = select(peer_traffic).order_by(
    peer_traffic.c.last_received_at.desc(), peer_traffic.c.ae_title, peer_traffic.c.address
)

_hold = insert_or(lease).values(settable(lease, "name", "holder", "until"))
_LEASE = _hold.on_conflict_do_update(
    index_elements=[lease.c.name],
    set_={"holder": _hold.excluded.holder, "until": _hold.excluded.until},
    where=(lease.c.holder == _hold.excluded.holder) | (lease.c.until <= bindparam("now", type_=lease.c.until.type)),
)

_peer = insert_or(peer).values(settable(peer, "name", "definition", "changed_at"))
_PUT_PEER = _peer.on_conflict_do_update(
    index_elements=[peer.c.name],
    set_={"definition": _peer.excluded.definition, "changed_at": _peer.excluded.changed_at},
)
_DROP_PEER = delete(peer).where(at(peer, "name"))
_PEERS = select(peer.c.name, peer.c.definition, peer.c.changed_at).order_by(peer.c.name)
