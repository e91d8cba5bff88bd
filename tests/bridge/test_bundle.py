"""A series' metadata as one object: what goes in comes out, by UID and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bundle import BLOCK_INSTANCES, MAGIC, Bundle, Row, build
from bridge.errors import Unavailable


def rows(count: int) -> list[Row]:
    return [Row(f"1.2.{number}", b'{"00080018":{"vr":"UI","Value":["%d"]}}' % number) for number in range(count)]


@given(st.lists(st.binary(max_size=200), max_size=3 * BLOCK_INSTANCES))
def test_every_object_comes_back_by_its_uid(objects: list[bytes]) -> None:
    given_rows = [Row(f"1.2.{number}", value) for number, value in enumerate(objects)]
    bundle = Bundle(build(given_rows))
    assert [bundle.metadata_json(row.sop_instance_uid) for row in given_rows] == objects
    assert bundle.sop_instance_uids == [row.sop_instance_uid for row in given_rows]


@pytest.mark.parametrize("count", [0, 1, BLOCK_INSTANCES, BLOCK_INSTANCES + 1, 500])
def test_joined_is_all_objects_in_order(count: int) -> None:
    given_rows = rows(count)
    joined = b",".join(Bundle(build(given_rows)).joined())
    assert joined == b",".join(row.metadata_json for row in given_rows)


def test_a_stranger_is_not_in_the_bundle() -> None:
    bundle = Bundle(build(rows(3)))
    assert "1.2.2" in bundle
    assert "1.2.3" not in bundle
    with pytest.raises(KeyError):
        bundle.metadata_json("1.2.3")


def test_similar_objects_share_their_bytes() -> None:
    given_rows = [Row(f"1.2.{number}", b"%d" % number + bytes(range(256)) * 40) for number in range(200)]
    assert len(build(given_rows)) * 50 < sum(len(row.metadata_json) for row in given_rows)


@pytest.mark.parametrize("damage", [b"", b"DBMB1", b"other", MAGIC, MAGIC + b"\0\0\0\x05abc", MAGIC + b"\0\0\0\x03abc"])
def test_damaged_bytes_are_no_bundle(damage: bytes) -> None:
    with pytest.raises(Unavailable, match="damaged"):
        Bundle(damage)


def test_a_cut_bundle_is_no_bundle() -> None:
    with pytest.raises(Unavailable, match="damaged"):
        Bundle(build(rows(100))[:-1])
