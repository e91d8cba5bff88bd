"""Every encoder by round trip, and which images may go into which transfer syntax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.compression import COMPRESSIONS, compression, producible
from bridge.errors import NotAcceptable
from bridge.frames import PixelDescription
from bridge.pixels import PixelPool
from bridge.settings import Pixels
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from tests.bridge.frames_of import JPEG, RLE, Image, described, encoded, image

NATIVE = EXPLICIT_VR_LITTLE_ENDIAN
LOSSY_DIFFERENCE = 0.04  # of the range of values
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture(scope="module")
def pool() -> Iterator[PixelPool]:
    made = PixelPool(Pixels(workers=1))
    yield made
    made.close()


def pictures() -> dict[str, tuple[Image, PixelDescription]]:
    """Every kind of image that something can be compressed into."""
    twelve = (image("u2") >> 4).astype("u2")
    signed = (image("i2") >> 4).astype("i2")
    found = {name: (image(name), described(image(name))) for name in ("u1", "i1", "u2", "i2")}
    found["u2 of 12 bits"] = (twelve, described(twelve, bits_stored=12, high_bit=11))
    found["i2 of 12 bits"] = (signed, described(signed, bits_stored=12, high_bit=11))
    found["u2 with an overlay above 12 bits"] = (image("u2"), described(image("u2"), bits_stored=12, high_bit=11))
    found["colour"] = (image("u1", colour=True), described(image("u1", colour=True)))
    luminance = image("u1", colour=True)
    found["YBR colour"] = (luminance, described(luminance, photometric_interpretation="YBR_FULL"))
    found["palette"] = (image("u1"), described(image("u1"), photometric_interpretation="PALETTE COLOR"))
    found["one pixel"] = (image("u2", rows=1, columns=1), described(image("u2", rows=1, columns=1)))
    found["one row"] = (image("u2", rows=1, columns=300), described(image("u2", rows=1, columns=300)))
    return found


PICTURES = pictures()


def there_and_back(pool: PixelPool, pixels: Image, description: PixelDescription, uid: str) -> Image:
    (stream,) = pool.encode_all([pixels.tobytes()], description, NATIVE, uid)
    row = COMPRESSIONS[uid]
    inside = row.photometric_of(description.photometric_interpretation)
    described_inside = PixelDescription(
        **{name: getattr(description, name) for name in PixelDescription.__slots__}
        | {"photometric_interpretation": inside}
    )
    frame = pool.decode(stream, described_inside, uid)
    return np.frombuffer(frame, pixels.dtype).reshape(pixels.shape)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("uid", COMPRESSIONS)
def test_what_a_syntax_may_hold_comes_back(pool: PixelPool, uid: str, kind: str) -> None:
    pixels, description = PICTURES[kind]
    if compression(NATIVE, description, uid) is None:
        assert uid not in producible(NATIVE, description)
        return
    if COMPRESSIONS[uid].method and "overlay" in kind:
        return  # bits that are no pixels are no part of what may be lost
    back = there_and_back(pool, pixels, description, uid)
    if not COMPRESSIONS[uid].method:
        assert np.array_equal(back, pixels)
    elif description.photometric_interpretation != "YBR_FULL":  # which comes back as RGB
        span = 1 << description.bits_stored
        assert np.abs(back.astype(int) - pixels.astype(int)).max() <= max(2, LOSSY_DIFFERENCE * span)


@given(st.data())
def test_lossless_holds_for_images_of_any_shape_and_content(pool: PixelPool, data: st.DataObject) -> None:
    uid = data.draw(st.sampled_from([uid for uid, row in COMPRESSIONS.items() if not row.method]))
    kinds = ["u1", "u2"] if not COMPRESSIONS[uid].signed else ["u1", "u2", "i1", "i2"]
    dtype = np.dtype(data.draw(st.sampled_from(kinds)))
    rows, columns = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    samples = data.draw(st.sampled_from([1, 3])) if dtype == "u1" else 1
    noise = np.random.default_rng(data.draw(st.integers(0, 1000)))
    stored = data.draw(st.integers(2, dtype.itemsize * 8))
    low, high = (-(1 << stored - 1), 1 << stored - 1) if dtype.kind == "i" else (0, 1 << stored)
    pixels = noise.integers(low, high, (rows, columns, 3) if samples == 3 else (rows, columns)).astype(dtype)
    description = described(pixels, bits_stored=stored, high_bit=stored - 1)
    assert np.array_equal(there_and_back(pool, pixels, description, uid), pixels)


def test_the_table_says_lossy_of_what_the_standard_calls_lossy() -> None:
    for uid, row in COMPRESSIONS.items():
        assert TRANSFER_SYNTAXES[uid].encapsulated
        assert bool(row.method) == TRANSFER_SYNTAXES[uid].lossy


@pytest.mark.parametrize(
    ("kind", "uid"),
    [
        ("u2", JPEG + "50"),
        ("u2", JPEG + "51"),
        ("i1", JPEG + "50"),
        ("i2", JPEG + "81"),
        ("i2", JPEG + "110"),
        ("palette", JPEG + "50"),
        ("palette", JPEG + "91"),
        ("colour", JPEG + "51"),
    ],
)
def test_what_would_not_be_true_is_not_offered(kind: str, uid: str) -> None:
    assert compression(NATIVE, PICTURES[kind][1], uid) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"bits_allocated": 1, "bits_stored": 1},
        {"bits_allocated": 32, "bits_stored": 32},
        {"photometric_interpretation": "YBR_FULL_422", "samples_per_pixel": 3},
        {"photometric_interpretation": "CMYK", "samples_per_pixel": 4},
        {"photometric_interpretation": "RGB"},
    ],
)
def test_images_of_rare_kinds_are_only_sent_native(changes: dict[str, Any]) -> None:
    assert producible(NATIVE, described(image("u1"), **changes)) == (NATIVE, DEFLATED)


def test_reports_are_only_sent_native_and_videos_only_as_they_are() -> None:
    assert producible(NATIVE, None) == (NATIVE, DEFLATED)
    assert producible(JPEG + "102", described(image("u1"))) == ()
    assert producible("1.2.3", described(image("u1"))) == ()


@pytest.mark.parametrize("uid", [JPEG + "80", JPEG + "90", RLE])
def test_one_visit_takes_a_codestream_into_another_syntax(pool: PixelPool, uid: str) -> None:
    pixels = image("i2")
    (stream,) = pool.encode_all([encoded(pixels, JPEG + "70")], described(pixels), JPEG + "70", uid)
    assert pool.decode(stream, described(pixels), uid) == pixels.tobytes()


def test_colour_by_plane_is_put_together(pool: PixelPool) -> None:
    pixels = image("u1", colour=True)
    planes = np.moveaxis(pixels, 2, 0).tobytes()
    (stream,) = pool.encode_all([planes], described(pixels, planar_configuration=1), NATIVE, JPEG + "80")
    assert pool.decode(stream, described(pixels), JPEG + "80") == pixels.tobytes()


@pytest.mark.parametrize("suffix", ["90", "91", "201", "202"])
@pytest.mark.parametrize("kind", ["u2 of 12 bits", "i2 of 12 bits"])
def test_a_jpeg_2000_stream_declares_the_bits_that_are_stored(pool: PixelPool, suffix: str, kind: str) -> None:
    pixels, description = PICTURES[kind]
    (stream,) = pool.encode_all([pixels.tobytes()], description, NATIVE, JPEG + suffix)
    declared = stream[stream.index(b"\xff\x51") + 40]
    assert declared == (0x80 if kind.startswith("i") else 0) | 11


def test_rpcl_streams_have_part_lengths_order_and_a_small_base(pool: PixelPool) -> None:
    pixels = image("u1", rows=4100, columns=5000)
    (stream,) = pool.encode_all([pixels.tobytes()], described(pixels), NATIVE, JPEG + "202")
    coding = stream.index(b"\xff\x52")
    assert stream[coding + 5] == 2  # RPCL, ISO 15444-1 Table A.16
    assert min(4100, 5000) >> stream[coding + 9] <= 64
    assert b"\xff\x55" in stream[: stream.index(b"\xff\x90")]


def test_a_broken_frame_is_refused_and_not_encoded(pool: PixelPool) -> None:
    pixels = image("u2")
    for frame, stored in ((b"\0" * 10, NATIVE), (b"rubbish", JPEG + "90")):
        with pytest.raises(NotAcceptable):
            list(pool.encode_all([frame], described(pixels), stored, JPEG + "80"))


def test_values_beyond_twelve_bits_are_not_cut_to_fit(pool: PixelPool) -> None:
    pixels, description = PICTURES["u2 with an overlay above 12 bits"]
    with pytest.raises(NotAcceptable, match="beyond 12 bits"):
        list(pool.encode_all([pixels.tobytes()], description, NATIVE, JPEG + "51"))
