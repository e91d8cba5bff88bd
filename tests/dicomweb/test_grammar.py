"""Lists, media ranges and quality values of RFC 9110, as lenient as real clients need."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.grammar import (
    MEMBERS_LIMIT,
    MediaRange,
    parse_accept,
    parse_entity_tags,
    parse_media_type,
    parse_tokens,
    quote,
)


def test_a_quoted_and_an_unquoted_type_parameter_are_the_same() -> None:
    quoted = parse_accept('multipart/related; type="application/dicom"')
    assert quoted == parse_accept("multipart/related; type=application/dicom")
    assert quoted[0].values("type") == ("application/dicom",)


def test_names_are_case_insensitive_and_values_are_kept() -> None:
    assert parse_accept("Application/DICOM; Transfer-Syntax=*; Q=0.5") == (
        MediaRange("application", "dicom", (("transfer-syntax", "*"),), 500),
    )


def test_a_comma_inside_quotes_does_not_split() -> None:
    (member,) = parse_accept('text/plain; a="x, y;z"')
    assert member.values("a") == ("x, y;z",)


def test_an_escaped_quote_is_unescaped() -> None:
    assert parse_accept(r'text/plain; a="say \"hi\" \\"')[0].values("a") == (r'say "hi" ' + chr(92),)


@pytest.mark.parametrize(
    "member", ["nonsense", "a/b/c d", "/x", "*/json", "text/plain;q=2", "text/plain;q=x", ";q=1", "te xt/plain"]
)
def test_a_member_that_makes_no_sense_is_left_out(member: str) -> None:
    assert parse_accept(f"{member}, application/json") == (MediaRange("application", "json"),)


def test_a_trailing_semicolon_is_harmless() -> None:
    assert parse_media_type('multipart/related;type="application/dicom";') == MediaRange(
        "multipart", "related", (("type", "application/dicom"),)
    )


def test_a_lone_star_is_any_type() -> None:
    assert parse_accept("*") == (MediaRange("*", "*"),)


@pytest.mark.parametrize(("text", "covered"), [("*/*", True), ("image/*", True), ("image/png", True), ("a/*", False)])
def test_ranges_cover_types(text: str, covered: bool) -> None:
    assert parse_accept(text)[0].covers("image/png") is covered


def test_q_is_read_in_thousandths() -> None:
    assert [member.q for member in parse_accept("a/b;q=1.000, a/c;q=0.333, a/d;q=0, a/e")] == [1000, 333, 0, 1000]


def test_tokens_carry_their_quality() -> None:
    assert parse_tokens("gzip;q=0.5, ZSTD, *;q=0, b ad") == (("gzip", 500), ("zstd", 1000), ("*", 0))


def test_entity_tags_lose_their_weak_mark() -> None:
    assert parse_entity_tags('W/"a", "b", c, *') == {'"a"', '"b"', "*"}


def test_more_members_than_the_limit_are_ignored_in_linear_time() -> None:
    started = time.perf_counter()
    assert len(parse_accept("image/png;q=0.1," * 20000)) == MEMBERS_LIMIT
    assert len(parse_accept('"' * 100_000)) == 0
    assert time.perf_counter() - started < 2


@given(st.text(alphabet=st.sampled_from('ab/*;,="\\ q01.\t\x00é'), max_size=80))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    parse_accept(text)
    parse_tokens(text)
    parse_entity_tags(text)
    parse_media_type(text)


@given(st.text(max_size=40))
def test_quoting_round_trips(text: str) -> None:
    assert parse_accept(f"a/b; x={quote(text)}")[0].values("x") == (text,)
