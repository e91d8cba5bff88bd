"""Every promise of `storage.index.registry.Registry`, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.errors import ObjectExists
from storage.index import SqlIndex, ledgers
from storage.index.registry import AccessKey, PeerDefinition, PeerTraffic, RefusedPeer
from tests.storage.index.building import MORNING

KEY = AccessKey(name="viewer", key_hash="a" * 64, site="default", scopes=("read", "write"), created_at=MORNING)
REFUSED = RefusedPeer(
    calling_ae_title="CT99",
    called_ae_title="BRIDGE",
    address="10.0.0.9",
    reason="unknown peer",
    first_at=MORNING,
    last_at=MORNING,
    times=1,
)
MINUTE = timedelta(minutes=1)


def test_a_key_is_found_by_its_hash(index: SqlIndex) -> None:
    index.add_key(KEY)
    assert index.key_by_hash(KEY.key_hash) == KEY
    assert index.key_by_hash("b" * 64) is None


def test_a_revoked_key_is_still_found_and_its_name_is_free(index: SqlIndex) -> None:
    index.add_key(KEY)
    with pytest.raises(ObjectExists):
        index.add_key(replace(KEY, key_hash="b" * 64))
    assert index.revoke_key("viewer", MORNING + MINUTE)
    assert not index.revoke_key("viewer", MORNING + MINUTE)
    assert index.key_by_hash(KEY.key_hash) == replace(KEY, revoked_at=MORNING + MINUTE)
    second = replace(KEY, key_hash="b" * 64, created_at=MORNING + MINUTE)
    index.add_key(second)
    assert index.access_keys() == [replace(KEY, revoked_at=MORNING + MINUTE), second]


def test_refusals_are_counted(index: SqlIndex) -> None:
    index.note_refused(REFUSED)
    index.note_refused(replace(REFUSED, last_at=MORNING + MINUTE, first_at=MORNING + MINUTE))
    other = replace(REFUSED, reason="wrong address", last_at=MORNING + 2 * MINUTE)
    index.note_refused(other)
    assert index.refused() == [other, replace(REFUSED, last_at=MORNING + MINUTE, times=2)]


def test_at_most_so_many_refusals_are_kept_and_the_oldest_go(index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ledgers.REFUSED_KEPT == 1000
    monkeypatch.setattr(ledgers, "REFUSED_KEPT", 10)
    with ThreadPoolExecutor(8) as pool:
        peers = [replace(REFUSED, address=f"a{n}", last_at=MORNING + n * MINUTE) for n in range(13)]
        list(pool.map(index.note_refused, peers))
    kept = index.refused()
    assert len(kept) == 10
    assert kept[0].address == "a12"
    assert kept[-1].address == "a3"


def test_deliveries_add_up(index: SqlIndex) -> None:
    one = PeerTraffic(ae_title="CT01", address="10.0.0.7", last_received_at=MORNING, instances=3, size_bytes=30)
    index.note_received(one)
    index.note_received(replace(one, last_received_at=MORNING + MINUTE, instances=1, size_bytes=1))
    other = replace(one, ae_title="MR01", last_received_at=MORNING + 2 * MINUTE)
    index.note_received(other)
    total = replace(one, last_received_at=MORNING + MINUTE, instances=4, size_bytes=31)
    assert index.traffic() == [other, total]


def test_a_lease_has_one_holder_until_it_runs_out(index: SqlIndex) -> None:
    assert index.lease("worker", "a", now=MORNING, seconds=60)
    assert not index.lease("worker", "b", now=MORNING, seconds=60)
    assert index.lease("worker", "a", now=MORNING + MINUTE / 2, seconds=60)
    assert not index.lease("worker", "b", now=MORNING + MINUTE, seconds=60)
    assert index.lease("worker", "b", now=MORNING + 2 * MINUTE, seconds=60)
    assert index.lease("other", "a", now=MORNING, seconds=60)


def test_of_many_who_want_a_lease_one_gets_it(index: SqlIndex) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda holder: index.lease("worker", str(holder), now=MORNING, seconds=60), range(8)))
    assert taken.count(True) == 1


def test_a_peer_is_kept_replaced_and_forgotten(index: SqlIndex) -> None:
    first = PeerDefinition(name="ct-1", definition='{"ae_title": "CT1"}', changed_at=MORNING)
    other = PeerDefinition(name="a", definition="{}", changed_at=MORNING)
    index.put_peer(first)
    index.put_peer(other)
    changed = replace(first, definition='{"ae_title": "CT2"}', changed_at=MORNING + MINUTE)
    index.put_peer(changed)
    assert index.kept_peers() == [other, changed]
    assert index.remove_peer("ct-1")
    assert not index.remove_peer("ct-1")
    assert index.kept_peers() == [other]
