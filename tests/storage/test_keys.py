"""Keys and UIDs: nothing from the wire can climb out of a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidKey
from storage.keys import check_key, ingest_id, instance_key, is_key_of, is_uid, parse_instance_key
from storage.records import ResourceRef

UIDS = st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,6}){0,8}", fullmatch=True).filter(lambda uid: len(uid) <= 64)
SITES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
REF = ResourceRef("default", "1.2", "1.2.3", "1.2.3.4")


@given(SITES, UIDS, UIDS, UIDS, st.from_regex(r"[0-9a-z]{8,40}", fullmatch=True))
def test_a_key_tells_what_it_was_made_from(site: str, study: str, series: str, sop: str, unique: str) -> None:
    ref = ResourceRef(site, study, series, sop)
    key = check_key(instance_key(ref, unique))
    parsed = parse_instance_key(key)
    assert (parsed.ref, parsed.ingest_id) == (ref, unique)


@given(st.text(max_size=80))
def test_no_text_makes_a_key_that_leaves_the_store(text: str) -> None:
    try:
        key = instance_key(ResourceRef("default", "1.2", "1.3", text), "0123456789")
    except InvalidKey:
        return
    assert key == f"default/1.2/1.3/{text}.0123456789.dcm"
    assert set(text) <= set("0123456789.")
    assert "" not in text.split(".")


@pytest.mark.parametrize(
    "bad", ["", "..", "1..2", ".1", "1.", "1/2", "1.2\n", "1.a", "1" * 65, "１.２", "-1.2", "1.2 "]
)
def test_what_is_no_uid_makes_no_key(bad: str) -> None:
    assert not is_uid(bad)
    for ref in (
        ResourceRef("default", bad, "1.3", "1.4"),
        ResourceRef("default", "1.2", bad, "1.4"),
        ResourceRef("default", "1.2", "1.3", bad),
    ):
        with pytest.raises(InvalidKey):
            instance_key(ref, "0123456789")


@pytest.mark.parametrize("site", ["", "Default", "a/b", "..", "a.b", "-a", "a" * 64, "é"])
def test_a_site_that_is_unusable_makes_no_key(site: str) -> None:
    with pytest.raises(InvalidKey):
        instance_key(ResourceRef(site, "1.2", "1.3", "1.4"), "0123456789")


@pytest.mark.parametrize("unique", ["", "short", "UPPERCASE1", "a.b.c.d.e.f", "x" * 41])
def test_an_ingest_id_that_is_unusable_makes_no_key(unique: str) -> None:
    with pytest.raises(InvalidKey):
        instance_key(REF, unique)


def test_a_reference_above_the_instance_has_no_key() -> None:
    with pytest.raises(InvalidKey):
        instance_key(ResourceRef("default", "1.2", "1.3"), "0123456789")


@pytest.mark.parametrize(
    "key",
    ["decisions/default/0123.json", "default/1.2/1.3/1.4.dcm", "default/1.2/1.3/1.4.0123456789.txt", "a/b", ""],
)
def test_another_key_is_not_taken_for_an_instances(key: str) -> None:
    with pytest.raises(InvalidKey):
        parse_instance_key(key)


@pytest.mark.parametrize(
    "key",
    [
        instance_key(REF, "0123456789"),
        instance_key(REF, "0123456789").replace("0123456789", "012.3456789"),
        instance_key(REF, "0123456789").replace("0123456789", "short"),
        instance_key(REF, "0123456789").replace(".dcm", ".txt"),
        instance_key(REF, "0123456789").replace("default", "other"),
        f"x{instance_key(REF, '0123456789')}",
        "decisions/default/0123.json",
        "",
    ],
)
def test_a_key_belongs_to_an_instance_when_it_parses_to_it(key: str) -> None:
    try:
        parsed = parse_instance_key(key).ref
    except InvalidKey:
        parsed = None
    assert is_key_of(key, REF) == (parsed == REF)


def test_leading_zeros_are_kept_leniently_and_refused_strictly() -> None:
    assert is_uid("1.02.3")
    assert not is_uid("1.02.3", strict=True)
    assert is_uid("1.0.3", strict=True)
    assert not is_uid("12", strict=True)


def test_ingest_ids_sort_by_time_and_never_repeat() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    ids = {ingest_id(at) for _ in range(1000)}
    assert len(ids) == 1000
    assert max(ids) < ingest_id(at + timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "key", ["/a", "a/", "a//b", "../a", "a/..", ".a", "a/.b", "a..b", "a b", "a%2f", "x" * 256, "a/" * 600 + "a"]
)
def test_a_key_no_store_may_see_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(key)
