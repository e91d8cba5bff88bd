"""Damaged data sets: a description with valid JSON or InvalidInstance, never anything else, in bounded time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from bridge.describe import describe
from bridge.errors import InvalidInstance, InvalidRequest, NotFound
from bridge.frames import frame_range, unpack, unpack_bulk
from bridge.part10 import build_header, read_preamble
from tests.bridge.corpus import read
from tests.bridge.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    JPEG_BASELINE,
    data_set,
    element,
    whole,
)

SLOWEST_S = 5.0
SYNTAXES = [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, JPEG_BASELINE, "1.2.840.10008.1.2.1.99", "1.2.3"]
NAMES = [
    "CT_small.dcm", "rtplan.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "SC_rgb_rle_2frame.dcm", "test-SR.dcm",
    "MR_small_implicit.dcm", "UN_sequence.dcm", "nested_priv_SQ.dcm",
]  # fmt: skip


def seeds() -> list[tuple[str, bytes]]:
    """(transfer syntax, data set) of small real and made-up instances; pixel data cut short."""
    found = [(JPEG_BASELINE, whole()), (EXPLICIT_LITTLE, data_set(element(0x00100010, "PN", "张^三".encode("gbk"))))]
    for name in NAMES:
        path = get_testdata_file(name)
        known = read(Path(path)) if isinstance(path, str) else None
        if known is not None:
            found.append((known[0].transfer_syntax_uid, known[1]))
    return found


SEEDS = seeds()
NASTY = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"SQ", b"UN", b"OB", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0",
         b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00", b"\x1b$)A", b"\\", b"\xff", b"\x08\x00\x05\x00CS"]  # fmt: skip
changes = st.tuples(
    st.sampled_from(["flip", "insert", "delete", "overwrite", "repeat", "cut"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 64),
    st.sampled_from(NASTY) | st.binary(min_size=1, max_size=8),
)


def damaged(data: bytes, kind: str, where: float, count: int, piece: bytes) -> bytes:
    """`data` with one change at a place given as a part of its length."""
    at = int(len(data) * where)
    if kind == "cut":
        return data[:at]
    if kind == "delete":
        return data[:at] + data[at + count :]
    if kind == "repeat":
        return data[:at] + data[at : at + count] * 3 + data[at + count :]
    if kind == "insert":
        return data[:at] + piece + data[at:]
    if kind == "overwrite":
        return data[:at] + piece + data[at + len(piece) :]
    return data[:at] + bytes(byte ^ 1 << count % 8 for byte in data[at : at + 1]) + data[at + 1 :]


def check(data: bytes, transfer_syntax_uid: str) -> None:
    """The promise of `describe`."""
    started = time.monotonic()
    try:
        found = describe(data, transfer_syntax_uid, metadata_limit_bytes=1 << 20)
    except InvalidInstance:
        assert time.monotonic() - started < SLOWEST_S
        return
    assert time.monotonic() - started < SLOWEST_S
    parsed = json.loads(found.metadata_json.replace(b"\0", b"http://x"), parse_constant=_no_constant)
    assert {"00080016", "00080018", "0020000D", "0020000E"} <= parsed.keys()
    assert all(text.encode("utf-8") and text for text in found.attributes.values())
    for bulk in unpack_bulk(found.bulk_table or b""):
        assert bulk.length >= 0
    if found.frame_table is not None:
        table = unpack(found.frame_table)
        for number in (1, 2, table.description.number_of_frames):
            try:
                spans = frame_range(table, number)
            except (NotFound, InvalidRequest):
                continue
            assert all(table.offset <= at and at + size <= table.offset + table.length for at, size in spans)


def _no_constant(name: str) -> None:
    raise AssertionError(f"JSON has no {name}")


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.lists(changes, min_size=1, max_size=4))
def test_damaged_instances_are_described_or_refused(
    seed: tuple[str, bytes], mutations: list[tuple[str, float, int, bytes]]
) -> None:
    transfer_syntax_uid, data = seed
    for mutation in mutations:
        data = damaged(data, *mutation)
    check(data, transfer_syntax_uid)


@given(st.sampled_from(SEEDS), st.sampled_from(SYNTAXES))
def test_a_data_set_in_another_syntax_than_named_is_described_or_refused(seed: tuple[str, bytes], named: str) -> None:
    check(seed[1], named)


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
def test_any_bytes_are_described_or_refused(data: bytes, transfer_syntax_uid: str) -> None:
    check(data, transfer_syntax_uid)
    check(data_set() + data, transfer_syntax_uid)


@given(st.lists(changes, max_size=3), st.booleans())
def test_any_file_meta_is_read_or_refused(mutations: list[tuple[str, float, int, bytes]], preamble: bool) -> None:
    data = build_header(sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid=EXPLICIT_LITTLE) + data_set()
    data = data if preamble else data[128:]
    for mutation in mutations:
        data = damaged(data, *mutation)
    try:
        meta = read_preamble(data)
    except InvalidInstance:
        return
    assert 0 <= meta.data_set_offset <= len(data)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=100_000, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SEEDS), st.lists(changes, min_size=1, max_size=12), st.sampled_from([*SYNTAXES, ""]))
def test_damaged_instances_are_described_or_refused_for_a_long_time(
    seed: tuple[str, bytes], mutations: list[tuple[str, float, int, bytes]], named: str
) -> None:
    data = seed[1]
    for mutation in mutations:
        data = damaged(data, *mutation)
    check(data, named or seed[0])
