"""Headers of stored images: read once, together with the first frame, and remembered within their room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bridge.errors import NotAcceptable
from bridge.frame_reader import codestreams, native_frames
from bridge.render.headers import Headers
from bridge.rendering.header import Header
from tests.bridge.frames_of import LOSSLESS, described, encoded, image
from tests.bridge.objects import Stored, base, compressed, part10, pixel_module
from tests.bridge.rendering.looks import document

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
PIXELS = image("u2")


@dataclass(frozen=True)
class Record:
    """What of a record a header needs."""

    data_set_sha256: str
    transfer_syntax_uid: str


def headers(*, limit_bytes: int = 1 << 20, header_limit_bytes: int = 1 << 20) -> Headers:
    return Headers(limit_bytes=limit_bytes, header_limit_bytes=header_limit_bytes, fallback_charset="")


def stored(uid: str, **attributes: object) -> Stored:
    values = {"WindowCenter": "40", "WindowWidth": "400", "PatientName": "Zhang^San", **attributes}
    if uid in NATIVE:
        item = pixel_module(base(**values), described(PIXELS))
        item.PixelData = PIXELS.astype(">u2" if uid == NATIVE[3] else "<u2").tobytes()
        item["PixelData"].VR = "OW"
    else:
        item = compressed(described(PIXELS), [encoded(PIXELS, uid)], **values)
    return Stored(part10(item, uid))


def read(known: Headers, one: Stored, sha256: str = "a") -> tuple[Header, Any]:
    record: Any = Record(sha256, one.meta.transfer_syntax_uid)
    table = one.frame_table
    assert table is not None
    return known.of(record, table, one.source)


@pytest.mark.parametrize("uid", [*NATIVE, *LOSSLESS])
def test_the_header_says_how_frames_look_in_every_syntax(uid: str) -> None:
    header, source = read(headers(), one := stored(uid))
    values = {key: element["Value"] for key, element in header.whole.items()}
    assert values == {"00280004": ["MONOCHROME2"], "00281050": [40], "00281051": [400]}
    assert header.about["00100010"]["Value"] == [{"Alphabetic": "Zhang^San"}]
    table = one.frame_table
    assert table is not None
    (frame,) = (codestreams if table.encapsulated else native_frames)(table, [1], source)
    data = b"".join(frame.chunks)
    expected = encoded(PIXELS, uid) if table.encapsulated else PIXELS.tobytes()
    assert (data[: len(expected)], len(data) - len(expected)) == (expected, len(expected) % 2)


def test_header_and_first_frame_come_in_one_read() -> None:
    one = stored(NATIVE[1])
    _, source = read(headers(), one)
    table = one.frame_table
    assert table is not None
    (frame,) = native_frames(table, [1], source)
    assert b"".join(frame.chunks) == PIXELS.tobytes()
    assert len(one.reads) == 1


def test_a_header_is_read_once_for_all_frames() -> None:
    known, one = headers(), stored(NATIVE[1])
    first, _ = read(known, one)
    count = len(one.reads)
    assert read(known, one)[0] is first
    assert len(one.reads) == count
    assert read(known, one, "another data set")[0] is not first


def test_headers_leave_when_their_room_is_full() -> None:
    known = headers(limit_bytes=6000)
    first = {sha: read(known, stored(NATIVE[1]), sha)[0] for sha in "abcd"}
    assert read(known, stored(NATIVE[1]), "d")[0] is first["d"]
    assert read(known, stored(NATIVE[1]), "a")[0] is not first["a"]


def test_a_header_beyond_the_limit_is_refused_before_it_is_read() -> None:
    one = stored(NATIVE[1], ImageComments="x" * 5000)
    with pytest.raises(NotAcceptable, match="longer than"):
        read(headers(header_limit_bytes=4000), one)
    assert one.reads == []


def test_a_header_whose_json_grows_beyond_all_measure_is_refused() -> None:
    items = [base() for _ in range(10)]
    for item in items:
        item.clear()
        item.add_new(0x00280106, "SS", [-32768] * 30000)  # two bytes each, seven in JSON
    one = stored(NATIVE[1], ReferencedStudySequence=items)
    with pytest.raises(NotAcceptable, match="holds more"):
        read(headers(header_limit_bytes=610_000), one)


def test_large_headers_are_read_too() -> None:
    header, _ = read(headers(header_limit_bytes=4 << 20), stored(NATIVE[1], TextValue="x" * (2 << 20)))
    assert "00281050" in header.whole


def test_large_tables_are_read_whole() -> None:
    entries = np.arange(65536, dtype="<u2").tobytes()
    looks = base(LUTDescriptor=[0, 0, 16])
    looks.add_new(0x00283006, "OW", entries)
    header, _ = read(headers(), stored(NATIVE[1], ModalityLUTSequence=[looks]))
    (item,) = header.whole["00283000"]["Value"]
    assert item["00283006"] == document(LUTData=entries)["00283006"]
