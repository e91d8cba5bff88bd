"""Finished bodies are kept within their bytes; codings, tags and ranges."""

from __future__ import annotations

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.bodies import BodyCache
from dicomweb.compression import coding_for, encode
from dicomweb.conditional import ByteRange, entity_tag, parse_range, unmodified
from dicomweb.proxies import Proxies


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60))
def test_the_cache_never_passes_its_limit(puts: list[tuple[int, int]]) -> None:
    cache = BodyCache(8000)
    for key, size in puts:
        cache.put(key, bytes(size))
        assert cache.size_bytes <= 8000
        kept = cache.get(key)
        assert kept is None or len(kept) == size or size > cache.largest_bytes


def test_what_was_used_last_stays_longest() -> None:
    cache = BodyCache(4000)
    for key in "abc":
        cache.put(key, bytes(800))
    cache.get("a")
    cache.put("d", bytes(800))
    assert cache.get("a") is not None
    assert cache.get("b") is None


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = BodyCache(0)
    cache.put("a", b"x")
    assert cache.get("a") is None


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("*", "zstd"),
        ("br, deflate", ""),
        ("identity, gzip;q=0.5", ""),
        ("gzip, *;q=0", "gzip"),
    ],
)
def test_the_coding_is_the_one_the_client_prefers(accept: str, coding: str) -> None:
    assert coding_for(accept) == coding


def test_codings_can_be_undone() -> None:
    body = b"[" + b"1," * 5000 + b"1]"
    assert gzip.decompress(encode(body, "gzip")) == body
    assert zstandard.ZstdDecompressor().decompress(encode(body, "zstd")) == body


@given(st.text(max_size=30), st.integers(0, 100))
def test_any_range_header_is_a_range_inside_or_none(text: str, size: int) -> None:
    for value in (text, f"bytes={text}"):
        found = parse_range({"range": value}, size, 'W/"x"')
        assert found is None or found.length == 0 or 0 <= found.start < found.start + found.length <= size


def test_if_range_with_another_tag_means_the_whole() -> None:
    headers = {"range": "bytes=0-1"}
    assert parse_range(headers, 10, 'W/"a"') == ByteRange(0, 2)
    assert parse_range(headers | {"if-range": 'W/"a"'}, 10, 'W/"a"') == ByteRange(0, 2)
    assert parse_range(headers | {"if-range": 'W/"b"'}, 10, 'W/"a"') is None


def test_a_tag_tells_representations_apart() -> None:
    tags = {entity_tag("1", form, coding) for form in ("a", "b") for coding in ("", "gzip")}
    assert len(tags) == 4
    assert not unmodified({}, 'W/"1"')


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_of_a_proxy_breaks_the_links(host: str, forwarded: str, prefix: str) -> None:
    proxies = Proxies(("127.0.0.1",), "", "/dicom-web")
    headers = {"host": host, "forwarded": forwarded, "x-forwarded-prefix": prefix, "x-forwarded-for": forwarded}
    base = proxies.base("127.0.0.1", "http", ("127.0.0.1", 8080), headers)
    assert base.isascii()
    assert not set(base) & set('"\\<> \r\n\0')
    proxies.client("127.0.0.1", headers)
