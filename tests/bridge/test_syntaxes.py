"""The table of transfer syntaxes against pydicom's dictionary and PS3.18's media types."""

from __future__ import annotations

import pytest
from pydicom.uid import UID, UID_dictionary

from bridge.frames import VIDEO_UIDS
from bridge.syntaxes import TRANSFER_SYNTAXES, lookup

STANDARD = sorted(uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax")
WRAPPED = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.", "1.2.840.10008.1.20")  # no plain data sets with frames
JPEG = "1.2.840.10008.1.2.4."


def test_every_transfer_syntax_of_the_standard_has_a_row() -> None:
    assert set(STANDARD) <= set(TRANSFER_SYNTAXES)


@pytest.mark.parametrize("suffix", ["110", "111", "112", "201", "202", "203", "204", "205"])
def test_the_newest_syntaxes_have_rows(suffix: str) -> None:
    assert lookup(JPEG + suffix) is not None
    assert lookup("1.2.840.10008.1.2.8.1") is not None


@pytest.mark.parametrize("uid", [uid for uid in STANDARD if not uid.startswith(WRAPPED)])
def test_rows_agree_with_pydicom(uid: str) -> None:
    row, known = TRANSFER_SYNTAXES[uid], UID(uid)
    assert row.explicit == (not known.is_implicit_VR)
    assert row.big_endian == (not known.is_little_endian)
    assert row.retired == known.is_retired
    if not row.referenced:
        assert row.encapsulated == known.is_encapsulated
        assert row.deflated == known.is_deflated


def test_rows_agree_with_what_the_scanner_takes_for_granted() -> None:
    assert {uid for uid, row in TRANSFER_SYNTAXES.items() if row.video} <= VIDEO_UIDS


@pytest.mark.parametrize(
    ("media_type", "suffixes"),
    [
        ("image/jpeg", ("4.50", "4.51", "4.57", "4.70")),
        ("image/dicom-rle", ("5",)),
        ("image/jls", ("4.80", "4.81")),
        ("image/jp2", ("4.90", "4.91")),
        ("image/jpx", ("4.92", "4.93")),
        ("image/jphc", ("4.201", "4.202", "4.203")),
        ("image/jxl", ("4.110", "4.111", "4.112")),
        ("application/x-deflate", ("8.1",)),
        ("video/mpeg2", ("4.100", "4.101")),
        ("video/mp4", ("4.102", "4.103", "4.104", "4.105", "4.106")),
        ("video/H265", ("4.107", "4.108")),
        ("application/octet-stream", ("1", "2", "1.99", "1.98")),
    ],
)
def test_media_types_are_those_of_table_8_7_3(media_type: str, suffixes: tuple[str, ...]) -> None:
    assert {TRANSFER_SYNTAXES["1.2.840.10008.1.2." + suffix].media_type for suffix in suffixes} == {media_type}


def test_video_is_never_decodable_and_lossless_is_never_called_lossy() -> None:
    assert not any(row.video and row.decodable for row in TRANSFER_SYNTAXES.values())
    lossless = [row for row in TRANSFER_SYNTAXES.values() if "Lossless" in row.name and "Near" not in row.name]
    assert lossless
    assert not any(row.lossy for row in lossless)


def test_an_unknown_syntax_has_no_row() -> None:
    assert lookup("1.2.3") is None
