"""Codings, tags and ranges of bodies."""

from __future__ import annotations

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.compression import coding_for, encode
from dicomweb.conditional import ByteRange, entity_tag, parse_range, unmodified
from dicomweb.proxies import Proxies


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
