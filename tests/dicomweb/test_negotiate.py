"""Accept in, representation out: the tables of PS3.18 §8.7, and no input that breaks them."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BridgeError, InvalidRequest, NotAcceptable
from bridge.syntaxes import TRANSFER_SYNTAXES
from dicomweb.negotiate import JSON, PLAIN_JSON, XML, Chooser, document, is_bulk_only, members, wishes_for_zip

EXPLICIT_LE, IMPLICIT_LE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG, JPEG_LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
MPEG4, RLE, JPIP = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.94"
UNKNOWN = "1.2.3.4"
PLAIN = (EXPLICIT_LE, DEFLATED)
J2K, HTJ2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"
PRODUCIBLE = (*PLAIN, JPEG, JPEG_LOSSLESS, JPEG_LS, J2K, HTJ2K, RLE)
GREY_16: dict[str, tuple[str, ...]] = {UNKNOWN: (), MPEG4: (), JPIP: ()}  # what can be produced from what is stored


def instance(accept: str | None, stored: str, *, one: bool = True) -> tuple[str, bool]:
    chosen = Chooser(members(accept), one_item=one).instance(stored, GREY_16.get(stored, PLAIN))
    assert chosen.media_type == "application/dicom"
    return chosen.transfer_syntax_uid, chosen.multipart


def frames(accept: str | None, stored: str, *, one: bool = True) -> tuple[str, str, bool]:
    chosen = Chooser(members(accept), one_item=one).frames(stored, GREY_16.get(stored, PLAIN))
    return chosen.media_type, chosen.transfer_syntax_uid, chosen.multipart


@pytest.mark.parametrize(
    ("accept", "stored", "sent"),
    [
        ("application/dicom", EXPLICIT_LE, EXPLICIT_LE),
        ("application/dicom", IMPLICIT_LE, EXPLICIT_LE),
        ("application/dicom", BIG_ENDIAN, EXPLICIT_LE),
        ("application/dicom", DEFLATED, EXPLICIT_LE),
        ("application/dicom", JPEG_LS, EXPLICIT_LE),
        ("application/dicom", JPEG, JPEG),
        ("application/dicom", MPEG4, MPEG4),
        ("application/dicom;transfer-syntax=*", JPEG_LS, JPEG_LS),
        ("application/dicom;transfer-syntax=*", DEFLATED, EXPLICIT_LE),
        ("application/dicom;transfer-syntax=*", UNKNOWN, UNKNOWN),
        ("application/dicom;transfer-syntax=*", JPIP, JPIP),
        (f"application/dicom;transfer-syntax={DEFLATED}", DEFLATED, DEFLATED),
        (f"application/dicom;transfer-syntax={EXPLICIT_LE}", JPEG, EXPLICIT_LE),
        (f"application/dicom;transfer-syntax={JPEG_LS}, application/dicom", JPEG_LS, JPEG_LS),
        (f"application/dicom;transfer-syntax={JPEG_LS}, application/dicom", RLE, EXPLICIT_LE),
        (f"application/dicom;transfer-syntax={JPEG_LS};transfer-syntax=*", RLE, RLE),
    ],
)
def test_g1_g2_g3_how_instances_are_sent(accept: str, stored: str, sent: str) -> None:
    assert instance(accept, stored) == (sent, False)
    assert instance(accept.replace("application/dicom", "multipart/related;type=application/dicom"), stored) == (
        sent,
        True,
    )


@pytest.mark.parametrize(
    ("accept", "stored"),
    [
        (f"application/dicom;transfer-syntax={IMPLICIT_LE}", IMPLICIT_LE),
        (f"application/dicom;transfer-syntax={JPEG_LS}", EXPLICIT_LE),
        (f"application/dicom;transfer-syntax={EXPLICIT_LE}", MPEG4),
        ("application/dicom", UNKNOWN),
        ("application/octet-stream", EXPLICIT_LE),
        ("application/dicom;q=0", EXPLICIT_LE),
        ("*/*;q=0", EXPLICIT_LE),
        ("garbage", EXPLICIT_LE),
    ],
)
def test_w15_what_cannot_be_sent_is_not_acceptable(accept: str, stored: str) -> None:
    with pytest.raises(NotAcceptable):
        instance(accept, stored)


OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("accept", "stored", "sent"),
    [
        (None, EXPLICIT_LE, (OCTETS, EXPLICIT_LE, True)),
        (None, JPEG_LS, (OCTETS, EXPLICIT_LE, True)),
        (None, JPEG, ("image/jpeg", JPEG, True)),
        (OCTETS, JPEG, (OCTETS, EXPLICIT_LE, False)),
        ("image/*", JPEG_LS, ("image/jls", JPEG_LS, False)),
        ("image/jpeg", JPEG_LOSSLESS, ("image/jpeg", JPEG_LOSSLESS, False)),
        ("image/jpeg", JPEG, ("image/jpeg", JPEG, False)),
        ("image/jll", JPEG_LOSSLESS, ("image/jpeg", JPEG_LOSSLESS, False)),
        (f"{OCTETS};transfer-syntax={JPEG_LS}", JPEG_LS, ("image/jls", JPEG_LS, False)),
        (f"{OCTETS};transfer-syntax=*", JPEG_LS, ("image/jls", JPEG_LS, False)),
        (f"{OCTETS};transfer-syntax=*", IMPLICIT_LE, (OCTETS, EXPLICIT_LE, False)),
        ("image/jp2, application/octet-stream;q=0.1", JPEG_LS, (OCTETS, EXPLICIT_LE, False)),
    ],
)
def test_w10_w11_how_frames_are_sent(accept: str | None, stored: str, sent: tuple[str, str, bool]) -> None:
    assert frames(accept, stored) == sent


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        ("image/jls", ("image/jls", JPEG_LS)),
        ("image/jpeg", ("image/jpeg", JPEG_LOSSLESS)),
        (f"image/jpeg;transfer-syntax={JPEG}", ("image/jpeg", JPEG)),
        ("image/jp2", ("image/jp2", J2K)),
        ("image/jphc", ("image/jphc", HTJ2K)),
        ("image/x-dicom-rle", ("image/dicom-rle", RLE)),
        (f"{OCTETS};transfer-syntax={J2K}", ("image/jp2", J2K)),
        ("image/jxl, image/jls;q=0.5", ("image/jls", JPEG_LS)),
        (f"image/jls;q=0.1, {OCTETS}", (OCTETS, EXPLICIT_LE)),
    ],
)
def test_w11_frames_are_compressed_into_what_is_named(accept: str, sent: tuple[str, str]) -> None:
    """Table 8.7.3-5: a media type alone means its lossless syntax."""
    chosen = Chooser(members(accept), one_item=True).frames(EXPLICIT_LE, PRODUCIBLE)
    assert (chosen.media_type, chosen.transfer_syntax_uid) == sent


@pytest.mark.parametrize("accept", ["image/*", "image/jls;transfer-syntax=*", f"image/jls;transfer-syntax={J2K}"])
def test_w15_nothing_is_compressed_that_was_not_named(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="image/jls; transfer-syntax"):
        Chooser(members(accept), one_item=True).frames(EXPLICIT_LE, PRODUCIBLE)


@pytest.mark.parametrize("wanted", [JPEG, JPEG_LS, J2K, RLE, DEFLATED])
def test_instances_are_compressed_by_name_only(wanted: str) -> None:
    chosen = Chooser(members(f"application/dicom;transfer-syntax={wanted}"), one_item=True)
    assert chosen.instance(EXPLICIT_LE, PRODUCIBLE).transfer_syntax_uid == wanted
    for accept in ("application/dicom", "application/dicom;transfer-syntax=*", "*/*"):
        sent = Chooser(members(accept), one_item=True).instance(EXPLICIT_LE, PRODUCIBLE)
        assert sent.transfer_syntax_uid == EXPLICIT_LE


@pytest.mark.parametrize(
    ("accept", "zipped"),
    [
        ("application/zip", True),
        ("application/zip, */*;q=0.1", True),
        ("application/dicom;q=0.5, application/zip", True),
        ("application/dicom, application/zip;q=0.5", False),
        ("*/*", False),
        ("application/*", False),
        ("application/zip;q=0, */*", False),
    ],
)
def test_w25_an_archive_is_for_who_names_it(accept: str, zipped: bool) -> None:
    assert bool(wishes_for_zip(members(accept))) == zipped


def test_octets_in_a_message_are_bulk_data_and_nothing_else_is() -> None:
    """Table 10.4.4-1, its last note."""
    octets = "multipart/related; type=application/octet-stream"
    assert is_bulk_only(members(octets))
    for accept in ("*/*", OCTETS, "multipart/related; type=image/jls", f"{octets}, application/dicom"):
        assert not is_bulk_only(members(accept))


def test_g14_several_frames_are_never_sent_alone() -> None:
    with pytest.raises(NotAcceptable):
        frames(OCTETS, EXPLICIT_LE, one=False)


@pytest.mark.parametrize("uid", [row.uid for row in TRANSFER_SYNTAXES.values() if row.media_type and not row.video])
def test_every_syntax_in_the_table_is_sent_as_stored_to_a_star(uid: str) -> None:
    row = TRANSFER_SYNTAXES[uid]
    media_type, syntax, _ = frames("multipart/related; type=application/octet-stream; transfer-syntax=*", uid)
    assert (media_type, syntax) == ((row.media_type, uid) if row.media_type != OCTETS else (OCTETS, EXPLICIT_LE))


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (PLAIN_JSON, PLAIN_JSON),
        (f"multipart/related; type={XML}", XML),
        (f'{JSON};q=0.5, multipart/related; type="{XML}"', XML),
        (f"{JSON};q=0.1, */*;q=0.8", PLAIN_JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
    ],
)
def test_w2_q23_how_documents_are_sent(accept: str | None, sent: str) -> None:
    assert document(members(accept)) == sent


def test_g9_the_parameter_is_checked_against_the_header() -> None:
    assert document(members("application/*", PLAIN_JSON)) == PLAIN_JSON
    with pytest.raises(NotAcceptable):
        members("image/png", JSON)
    with pytest.raises(InvalidRequest):
        members("*/*", "application/*")


def test_g10_a_mixture_is_refused_but_not_what_a_browser_sends() -> None:
    with pytest.raises(InvalidRequest):
        members("application/dicom+json, text/html")
    assert document(members("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8")) == JSON


def test_three_hundred_members_are_weighed_in_no_time() -> None:
    accept = ", ".join(f"image/x-{number};q=0.5" for number in range(300)) + ", application/dicom;q=0.1"
    started = time.perf_counter()
    assert instance(accept, JPEG) == (JPEG, False)
    assert time.perf_counter() - started < 1


PIECES = [
    "*/*", "application/dicom", "multipart/related", "type=", '"application/dicom"', "application/octet-stream", ";",
    ",", "transfer-syntax=", "*", EXPLICIT_LE, JPEG_LS, "q=0", "q=0.5", "q=1", "image/jls", "image/*", " ", "\x00", '"',
    JSON, "text/html", "=",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.one_of(st.none(), st.lists(st.sampled_from(PIECES), max_size=6).map("".join)),
    st.sampled_from([EXPLICIT_LE, JPEG, JPEG_LS, MPEG4, UNKNOWN]),
    st.booleans(),
)
def test_no_accept_makes_anything_but_a_refusal(header: str, parameter: str | None, stored: str, one: bool) -> None:
    try:
        wishes = members(header, parameter)
    except BridgeError:
        return
    chooser = Chooser(wishes, one_item=one)
    producible = (*GREY_16.get(stored, PLAIN), RLE)
    for choose in (
        lambda: chooser.instance(stored, producible),
        lambda: chooser.frames(stored, producible),
        lambda: chooser.bulk(OCTETS),
    ):
        try:
            chosen = choose()
        except NotAcceptable:
            continue
        assert chosen.transfer_syntax_uid in (*producible, stored, "")
        assert one or chosen.multipart
        assert "\0" not in chosen.content_type
    with contextlib.suppress(NotAcceptable):
        assert document(wishes) in (JSON, PLAIN_JSON, XML)
