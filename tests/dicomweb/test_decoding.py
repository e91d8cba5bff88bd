"""Compressed request bodies: inflated as they come, within bounds."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest

from bridge.errors import InvalidRequest, TooLarge
from bridge.source import RATIO_FLOOR_BYTES
from dicomweb.decoding import UnsupportedMediaType, decoded

BODY = bytes(range(256)) * 4000


def read(data: bytes, coding: str, *, limit: int = 1 << 30, ratio: int = 200, step: int = 1000) -> bytes:
    chunks = iter([data[at : at + step] for at in range(0, len(data), step)])
    return b"".join(decoded(chunks, coding, limit_bytes=limit, ratio_limit=ratio))


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), (" GZip ", gzip.compress), ("deflate", zlib.compress)],
)  # fmt: skip
def test_a_body_is_inflated_however_it_is_cut(coding: str, pack, step: int) -> None:
    assert read(pack(BODY), coding, step=step) == BODY


@pytest.mark.parametrize("coding", ["", "identity"])
def test_a_plain_body_passes_as_it_is(coding: str) -> None:
    chunks: Iterator[bytes] = iter([BODY])
    assert decoded(chunks, coding, limit_bytes=1, ratio_limit=1) is chunks


def test_members_of_a_gzip_file_follow_each_other() -> None:
    assert read(gzip.compress(BODY) + gzip.compress(b"more"), "gzip") == BODY + b"more"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_an_unknown_coding_is_refused_before_anything_is_read(coding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="gzip"):
        decoded(iter([]), coding, limit_bytes=1, ratio_limit=1)


@pytest.mark.parametrize("data", [b"", gzip.compress(BODY)[:-3], b"no gzip at all"])
def test_a_body_that_is_broken_or_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(data, "gzip")


def test_a_body_that_swells_beyond_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        read(gzip.compress(BODY), "gzip", limit=len(BODY) - 1)


def test_a_bomb_is_refused_by_its_ratio() -> None:
    bomb = gzip.compress(bytes(RATIO_FLOOR_BYTES + (1 << 20)))
    with pytest.raises(TooLarge, match="ratio"):
        read(bomb, "gzip", step=1 << 20)
