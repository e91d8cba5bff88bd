"""What an object carries: within every store's limits, without patient data, enough for a rebuild."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.object_meta import instance_meta, quarter, record_from_meta
from storage.errors import InvalidKey
from storage.keys import instance_key
from storage.objects.base import ObjectInfo, ObjectMeta
from storage.objects.meta import check_meta
from storage.records import InstanceRecord, Location, Origin, ResourceRef, Retention

NOW = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
ORIGIN = Origin(door="DIMSE", name="CT01", address="10.1.2.3")
REF = ResourceRef("default", "1.2", "1.2.3", "1.2.3.4")
RETENTION = Retention(
    retention_class="cn-op-15",
    policy="cn@1",
    start=datetime(2026, 3, 4, 16, tzinfo=UTC),
    until=datetime(2041, 3, 4, 16, tzinfo=UTC),
    flags=("class-unknown", "birth-date-missing"),
)
RECORD = InstanceRecord(
    ref=REF,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    location=Location("hot", instance_key(REF, "0123456789")),
    size_bytes=1234,
    sha256="a" * 64,
    data_set_sha256="b" * 64,
    data_set_offset=400,
    received_at=NOW,
    attributes={"Modality": "CT", "PatientName": "Wang^Wu=王^五", "PatientID": "P-001", "StudyDate": "20260305"},
    metadata_json=None,
    retention=RETENTION,
    origin_name="CT01",
)
RESTORED = (
    "ref",
    "sop_class_uid",
    "transfer_syntax_uid",
    "size_bytes",
    "sha256",
    "data_set_sha256",
    "data_set_offset",
    "received_at",
    "retention",
    "legal_hold",
    "state",
    "origin_name",
)


def meta_of(record: InstanceRecord, *, lock: bool = True, origin: Origin = ORIGIN) -> ObjectMeta:
    return instance_meta(record, origin=origin, lock=lock, now=NOW)


def info_of(record: InstanceRecord) -> ObjectInfo:
    return ObjectInfo(record.location.key, record.size_bytes, NOW)


def test_the_tags_are_those_a_rule_must_match() -> None:
    assert meta_of(RECORD).tags == {
        "rc": "cn-op-15",
        "ru": "2041Q1",
        "hold": "0",
        "tier": "hot",
        "site": "default",
        "mod": "CT",
        "st": "live",
    }


def test_a_record_comes_back_from_its_object() -> None:
    for record in (
        RECORD,
        replace(RECORD, retention=None, origin_name="检查室 1"),
        replace(RECORD, retention=replace(RETENTION, until=None, flags=()), legal_hold=True),
    ):
        restored = record_from_meta(record.location.key, info_of(record), meta_of(record))
        assert restored == {name: getattr(record, name) for name in RESTORED}


def test_a_lock_that_was_extended_is_the_term_that_comes_back() -> None:
    longer = datetime(2050, 1, 1, tzinfo=UTC)
    restored = record_from_meta(RECORD.location.key, info_of(RECORD), replace(meta_of(RECORD), retain_until=longer))
    assert restored["retention"].until == longer


def test_a_term_that_is_over_is_never_sent_as_a_lock() -> None:
    for until in (NOW, NOW - timedelta(days=1), None):
        assert meta_of(replace(RECORD, retention=replace(RETENTION, until=until))).retain_until is None
    assert meta_of(RECORD).retain_until == RETENTION.until
    assert meta_of(RECORD, lock=False).retain_until is None


def test_a_hold_is_set_only_where_the_store_keeps_locks() -> None:
    held = replace(RECORD, legal_hold=True)
    assert meta_of(held).legal_hold
    assert not meta_of(held, lock=False).legal_hold
    assert meta_of(held, lock=False).tags["hold"] == "1"


def test_no_patient_data_and_no_address_travels_with_an_object() -> None:
    meta = meta_of(RECORD)
    carried = " ".join([*meta.tags.values(), *meta.user.values()])
    for secret in ("Wang", "王", "%E7", "P-001", "10.1.2.3", "20260305"):
        assert secret not in carried


def test_two_addresses_are_told_apart() -> None:
    other = replace(ORIGIN, address="10.1.2.4")
    assert meta_of(RECORD).user["src-ip-hash"] != meta_of(RECORD, origin=other).user["src-ip-hash"]
    assert meta_of(RECORD).user["src-ip-hash"] == meta_of(RECORD).user["src-ip-hash"]


def test_the_longest_values_are_within_the_limits() -> None:
    uid = "1." * 31 + "12"
    ref = ResourceRef("s" * 63, uid, uid, uid)
    record = replace(
        RECORD,
        ref=ref,
        location=Location("hot", instance_key(ref, "0123456789" * 2)),
        sop_class_uid=uid,
        transfer_syntax_uid=uid,
        size_bytes=1 << 40,
        origin_name="检" * 500,
        attributes={"Modality": "M" * 500},
        retention=replace(RETENTION, flags=("study-date-unusable", "class-unknown", "expired-on-arrival")),
    )
    check_meta(meta_of(record), NOW)


@given(st.text(st.characters(), max_size=200), st.text(max_size=60), st.text(max_size=80), st.text(max_size=40))
def test_nothing_a_sender_says_breaks_the_limits(name: str, modality: str, sop_class: str, address: str) -> None:
    record = replace(RECORD, origin_name=name, attributes={"Modality": modality}, sop_class_uid=sop_class)
    meta = meta_of(record, origin=replace(ORIGIN, address=address))
    check_meta(meta, NOW)
    assert len(meta.user) + len(meta.tags) > 20


@given(st.text(max_size=10))
def test_a_senders_name_comes_back(name: str) -> None:
    record = replace(RECORD, origin_name=name or "x")
    restored = record_from_meta(RECORD.location.key, info_of(RECORD), meta_of(record))
    assert restored["origin_name"] == (name or "x").strip()


def test_an_object_that_is_not_an_instance_or_not_whole_is_refused() -> None:
    meta = meta_of(RECORD)
    with pytest.raises(InvalidKey):
        record_from_meta("decisions/default/0123.json", info_of(RECORD), meta)
    with pytest.raises(ValueError, match="long"):
        record_from_meta(RECORD.location.key, ObjectInfo(RECORD.location.key, 7, NOW), meta)
    with pytest.raises(ValueError, match="different"):
        record_from_meta("default/1.2/1.2.3/9.9.0123456789.dcm", info_of(RECORD), meta)
    with pytest.raises(KeyError):
        record_from_meta(RECORD.location.key, info_of(RECORD), ObjectMeta())


@pytest.mark.parametrize(("month", "wanted"), [(1, "2041Q1"), (3, "2041Q1"), (4, "2041Q2"), (12, "2041Q4")])
def test_a_quarter_is_that_of_the_month(month: int, wanted: str) -> None:
    assert quarter(datetime(2041, month, 15, tzinfo=UTC)) == wanted
