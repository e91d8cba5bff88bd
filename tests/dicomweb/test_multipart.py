"""The multipart writer, read back by a strict parser and by the naive readers of the field."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from dicomweb.multipart import Part, content_type, new_boundary, total_size, write


def part(body: bytes, *, known: bool = True) -> Part:
    return Part(
        content_type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
        chunks=iter([body]),
        size_bytes=len(body) if known else None,
        location="http://host/dicom-web/studies/1",
    )


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_a_standard_parser_gets_every_byte_back(bodies: list[bytes]) -> None:
    boundary = new_boundary()
    message = b"".join(write([part(body) for body in bodies], boundary))
    head = f"Content-Type: {content_type('application/dicom', boundary)}\r\n\r\n".encode()
    parsed = email.message_from_bytes(head + message, policy=email.policy.HTTP)
    assert [piece.get_payload(decode=True) for piece in parsed.iter_parts()] == [
        _as_email_reads(body) for body in bodies
    ]


def _as_email_reads(body: bytes) -> bytes:
    """The email package keeps bodies as text with surrogates; what it cannot keep apart is the same on both sides."""
    message = b"--b\r\nContent-Type: application/x\r\n\r\n" + body + b"\r\n--b--\r\n"
    parsed = email.message_from_bytes(
        b'Content-Type: multipart/related; boundary="b"\r\n\r\n' + message, policy=email.policy.HTTP
    )
    (only,) = parsed.iter_parts()
    return only.get_payload(decode=True)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_a_naive_reader_finds_bodies_two_bytes_before_the_next_boundary(bodies: list[bytes]) -> None:
    """As Cornerstone3D and dwv read: first line is the boundary, header ends at the first CRLFCRLF."""
    boundary = new_boundary()
    message = b"".join(write([part(body) for body in bodies], boundary))
    delimiter = message[: message.index(b"\r\n")]
    assert delimiter == b"--" + boundary.encode()
    found, position = [], 0
    for _ in bodies:
        start = message.index(b"\r\n\r\n", position) + 4
        end = message.index(b"\r\n" + delimiter, start)
        found.append(message[start:end])
        position = end + 2
    assert found == bodies


def test_part_headers_are_spelled_as_naive_readers_look_for_them() -> None:
    header = next(iter(write([part(b"abc")], "B"))).decode()
    assert header.startswith("--B\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n")
    assert "\r\nContent-Length: 3\r\n" in header
    assert "\r\nContent-Location: http://host/dicom-web/studies/1\r\n\r\n" in header


def test_the_first_header_is_sent_before_the_first_chunk_is_made() -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("a chunk was asked for")
        yield b""

    assert next(write([Part(content_type="a/b", chunks=never())], "B")).startswith(b"--B\r\n")


def test_the_size_is_known_beforehand_when_every_part_says_its_own() -> None:
    parts = [part(b"abc"), part(b""), part(b"x" * 1000)]
    assert total_size(parts, "BOUNDARY") == len(b"".join(write(parts, "BOUNDARY")))
    assert total_size([part(b"abc"), part(b"x", known=False)], "BOUNDARY") is None


def test_closing_the_message_closes_the_open_part() -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.append(True)

    message = write([Part(content_type="a/b", chunks=chunks())], "B")
    next(message)
    next(message)
    message.close()
    assert closed == [True]


def test_no_parts_is_just_the_closing_delimiter() -> None:
    assert b"".join(write([], "B")) == b"\r\n--B--\r\n"
