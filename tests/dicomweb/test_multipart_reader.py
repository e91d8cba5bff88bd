"""The multipart reader: any cut of the bytes gives the same parts; hostile bytes give a clear refusal."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidRequest
from dicomweb import multipart
from dicomweb.multipart_reader import BOUNDARY_LIMIT, HEADER_LINES_LIMIT, PartBegin, PartEnd, Reader

Parts = list[tuple[dict[str, str], bytes]]


def read(*chunks: bytes, boundary: str = "b", parts_limit: int = 100, header_limit: int = 1000) -> Parts:
    """The whole parts of a message that comes in these chunks."""
    reader = Reader(boundary, parts_limit=parts_limit, header_limit_bytes=header_limit)
    found = []
    for chunk in chunks:
        found += whole_parts(reader, chunk, found)
    reader.end()
    return [(headers, bytes(body)) for headers, body, whole in found if whole]


def whole_parts(reader: Reader, chunk: bytes, before: list) -> list:
    """New [headers, body, whole?] entries; the last of `before` goes on growing."""
    new: list = []
    for event in reader.feed(chunk):
        if isinstance(event, PartBegin):
            new.append([event.headers, bytearray(), False])
        elif isinstance(event, PartEnd):
            (new or before)[-1][2] = True
        else:
            (new or before)[-1][1] += event
    return new


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces."""
    return [
        data[start:end] for start, end in pairwise([0, *sorted(place % (len(data) + 1) for place in places), len(data)])
    ]


# Bodies full of what looks like the end of a part.
PIECES = [b"\r\n--b", b"\r\n--", b"\r", b"\n", b"--b", b"-", b"x", b"\r\n--bc", b"\r\n\r\n", b"\0\xff"]
BODIES = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)
PLACES = st.lists(st.integers(0), max_size=12)


def delimits(body: bytes) -> bool:
    """Whether a body holds a line that ends a part, which no sender may send."""
    return any(end in b"\r\n" + body + b"\r\n" for end in (b"\r\n--b--", b"\r\n--b\r\n"))


@given(st.lists(BODIES.filter(lambda body: not delimits(body)), min_size=1, max_size=5), PLACES)
def test_any_cut_of_the_bytes_gives_the_same_parts(bodies: list[bytes], places: list[int]) -> None:
    sent = (
        b"preamble\r\n"
        + b"".join(b"--b\r\nN: %d\r\n\r\n%s\r\n" % (n, body) for n, body in enumerate(bodies))
        + b"--b--"
    )
    expected = [({"n": str(number)}, body) for number, body in enumerate(bodies)]
    assert read(*cut(sent, places)) == expected
    assert read(*[sent[at : at + 1] for at in range(len(sent))]) == expected


@given(st.binary(max_size=200), PLACES)
def test_any_bytes_at_all_are_read_or_refused_alike_however_they_are_cut(data: bytes, places: list[int]) -> None:
    def outcome(*chunks: bytes) -> Parts | str:
        try:
            return read(*chunks)
        except InvalidRequest as error:
            return str(error)

    assert outcome(*cut(b"--b\r\n" + data, places)) == outcome(b"--b\r\n" + data)


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4))
def test_what_our_writer_writes_is_read(bodies: list[bytes]) -> None:
    boundary = multipart.new_boundary()
    sent = [multipart.Part(content_type="a/b", chunks=[body], size_bytes=len(body)) for body in bodies]
    expected = [({"content-type": "a/b", "content-length": str(len(body))}, body) for body in bodies]
    assert read(b"".join(multipart.write(sent, boundary)), boundary=boundary) == expected


@pytest.mark.parametrize(
    ("sent", "parts"),
    [
        (b"--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
        (b"--b\r\n\r\nx\r\n--b--\r\nepilogue\r\n--b\r\n\r\n", [({}, b"x")]),
        (b"pre\r\namble\r\n--b \t \r\n\r\nx\r\n--b--", [({}, b"x")]),
        (b"\r\n--b\r\n\r\nx\r\n--b--\r\n", [({}, b"x")]),
        (b"--b\r\nA: 1\r\n\r\n--b--", [({"a": "1"}, b"")]),
        (b"--b\r\n\r\n--b\r\n\r\n\r\n--b--", [({}, b""), ({}, b"")]),
        (b"--b\r\nA:  1 \r\nB: 2\r\n\t3\r\n\r\n\r\n--b--", [({"a": "1", "b": "2 3"}, b"")]),
        (b"--b\r\n\r\n\r\n--bb\r\n--b--", [({}, b"\r\n--bb")]),
    ],
    ids=["plain", "epilogue", "preamble", "line end first", "no body", "neither", "folded", "longer boundary"],
)  # fmt: skip
def test_the_corners_of_the_grammar(sent: bytes, parts: Parts) -> None:
    assert read(sent) == parts


def test_a_body_in_one_chunk_is_a_view_of_it_and_no_copy() -> None:
    data = b"--b\r\n\r\n" + b"x" * 1000 + b"\r\n--b--"
    reader = Reader("b", parts_limit=1, header_limit_bytes=100)
    list(reader.feed(b"\r\n"))
    views = [event for event in reader.feed(data) if isinstance(event, memoryview)]
    assert len(views) == 1
    assert len(views[0]) == 1000


def test_what_is_kept_between_chunks_stays_small() -> None:
    reader = Reader("b" * 70, parts_limit=1, header_limit_bytes=100)
    for _ in range(100):
        list(reader.feed(b"--" + b"b" * 70 + b"\r\n\r\n" if not reader.parts else b"\r\n--" + b"b" * 69 + b"x" * 1000))
        assert len(reader._held) < 200


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "closing boundary"),
        (b"no boundary at all", "closing boundary"),
        (b"--b\r\n\r\nhalf a part", "closing boundary"),
        (b"--b\r\n\r\nx\r\n--b\r\n", "closing boundary"),
        (b"--b--\r\n", "no parts"),
        (b"--b\n\nx\n--b--\n", "closing boundary"),
        (b"--b\r\nno colon\r\n\r\nx\r\n--b--", "header line"),
        (b"--b\r\nA b: 1\r\n\r\nx\r\n--b--", "header line"),
        (b"--b\r\nA: 1\0\r\n\r\nx\r\n--b--", "header line"),
        (b"--b\r\nA: 1\nB: 2\r\n\r\nx\r\n--b--", "header line"),
        (b"--b\r\nA: 1\r\na: 2\r\n\r\nx\r\n--b--", "twice"),
        (b"--b\r\nA: " + b"1" * 2000 + b"\r\n\r\nx\r\n--b--", "part_header_bytes"),
        (b"--b\r\n" + b"x" * 2000, "part_header_bytes"),
        (b"--b\r\n" + b"".join(b"N%d:\r\n" % n for n in range(HEADER_LINES_LIMIT + 1)) + b"\r\n", "header lines"),
        (b"--b\r\n\r\nx\r\n" * 101 + b"--b--", "parts_limit"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_with_the_reason(sent: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        read(sent)
    with pytest.raises(InvalidRequest, match=reason):
        read(*[sent[at : at + 1] for at in range(len(sent))])


@pytest.mark.parametrize("boundary", ["", " ", "b ", "ü", "b\r\n", "b" * (BOUNDARY_LIMIT + 1)])
def test_a_boundary_that_is_none_is_refused(boundary: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        Reader(boundary, parts_limit=1, header_limit_bytes=100)


def test_the_parts_before_the_missing_end_came_whole() -> None:
    reader = Reader("b", parts_limit=9, header_limit_bytes=100)
    events = list(reader.feed(b"--b\r\n\r\nx\r\n--b\r\n\r\nha"))
    assert sum(isinstance(event, PartEnd) for event in events) == 1
    with pytest.raises(InvalidRequest):
        reader.end()
