"""Instances compressed on their way out: others must read the same pixels, and the attributes must be true."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.sequence import Sequence

from bridge import encapsulating
from bridge.compression import COMPRESSIONS
from bridge.derivation import Derivation
from bridge.errors import NotAcceptable
from bridge.part10 import build_header
from bridge.pixels import PixelPool
from bridge.settings import Pixels
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from bridge.transcode import convert
from tests.bridge.frames_of import JPEG, RLE, Image, described, encoded, image
from tests.bridge.objects import Stored, as_file, base, compressed, differences, part10, pixel_module
from tests.conftest import Dcmtk

NATIVE = EXPLICIT_VR_LITTLE_ENDIAN
LOSSLESS = [uid for uid, row in COMPRESSIONS.items() if not row.method]
LOSSY = [uid for uid, row in COMPRESSIONS.items() if row.method]
DCMTK_TOOLS = {
    **dict.fromkeys((JPEG + suffix for suffix in ("50", "51", "57", "70")), "dcmdjpeg"),
    **dict.fromkeys((JPEG + suffix for suffix in ("80", "81")), "dcmdjpls"),
    RLE: "dcmdrle",
}


@pytest.fixture(scope="module")
def pool() -> Iterator[PixelPool]:
    made = PixelPool(Pixels(workers=2))
    yield made
    made.close()


def native(*images: Image, **attributes: object) -> Dataset:
    """An instance of native frames."""
    item = pixel_module(base(**attributes), described(images[0], number_of_frames=len(images)))
    item.PixelData = b"".join(one.tobytes() for one in images)
    return item


def derivation(uid: str, *, is_lossy: bool = False) -> Derivation:
    return Derivation(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.826.0.1.3680043.10.1.1.1",
        data_set_sha256="00ff",
        target_uid=uid,
        is_lossy=is_lossy,
    )


def sent(stored: Stored, uid: str, pool: PixelPool, *, is_lossy: bool = False) -> tuple[bytes, int | None]:
    """(the converted data set, the size that was announced)."""
    made = convert(
        stored.source,
        stored.meta.transfer_syntax_uid,
        uid,
        frame_table=stored.frame_table,
        pixels=pool,
        derivation=derivation(uid, is_lossy=is_lossy),
    )
    return b"".join(made.chunks), made.size_bytes


def decoded_by_us(data_set: bytes, uid: str, pool: PixelPool) -> Dataset:
    """What the archive itself makes of it, as a native data set."""
    header = build_header(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="1.2.3", transfer_syntax_uid=uid)
    return Stored(header + data_set).read_back(NATIVE, pool)


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u1 colour"])
@pytest.mark.parametrize("uid", LOSSLESS)
def test_a_lossless_instance_differs_in_nothing_but_its_pixel_encoding(pool: PixelPool, uid: str, kind: str) -> None:
    if uid == JPEG + "110" and kind == "i2":
        return
    item = native(image(kind[:2], colour="colour" in kind), PatientName="Zhang^San", WindowWidth="400")
    data, size = sent(Stored(part10(item, NATIVE)), uid, pool)
    assert size == len(data)
    assert len(data) % 2 == 0
    back = decoded_by_us(data, uid, pool)
    expected = []
    if COMPRESSIONS[uid].photometric and "colour" in kind:
        assert as_file(data, uid).PhotometricInterpretation == "YBR_RCT"
    assert [line for line in differences(item, back) if "7fe0" not in line.lower()] == expected
    assert back.PixelData == item.PixelData


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u1 colour"])
@pytest.mark.parametrize("uid", DCMTK_TOOLS)
def test_dcmtk_reads_the_same_pixels(pool: PixelPool, dcmtk: Dcmtk, tmp_path: Path, uid: str, kind: str) -> None:
    pixels = image(kind[:2], colour="colour" in kind)
    stored = Stored(part10(native(pixels), NATIVE))
    try:
        data, _ = sent(stored, uid, pool)
    except NotAcceptable:
        assert COMPRESSIONS[uid].method
        return
    header = build_header(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="1.2.3", transfer_syntax_uid=uid)
    (tmp_path / "in.dcm").write_bytes(header + data)
    run = dcmtk.run(DCMTK_TOOLS[uid], tmp_path / "in.dcm", tmp_path / "out.dcm")
    assert run.returncode == 0, run.stderr
    back = dcmread(tmp_path / "out.dcm")
    limit = 0 if not COMPRESSIONS[uid].method else 16
    if back.PhotometricInterpretation == described(pixels).photometric_interpretation:
        assert np.abs(back.pixel_array.astype(int) - pixels).max() <= limit
    assert dcmtk.run("dcmdump", tmp_path / "in.dcm").returncode == 0


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u1 colour"])
@pytest.mark.parametrize("uid", [JPEG + "90", RLE])
def test_pydicom_reads_the_same_pixels(pool: PixelPool, uid: str, kind: str) -> None:
    pixels = image(kind[:2], colour="colour" in kind)
    data, _ = sent(Stored(part10(native(pixels), NATIVE)), uid, pool)
    if uid != RLE and "colour" in kind:
        return  # Pillow undoes the colour transform, pydicom's array says YBR_RCT still
    assert np.array_equal(as_file(data, uid).pixel_array, pixels)


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u1 colour"])
def test_openjpeg_reads_what_openjph_wrote(pool: PixelPool, kind: str) -> None:
    pixels = image(kind[:2], colour="colour" in kind)
    data, _ = sent(Stored(part10(native(pixels), NATIVE)), JPEG + "202", pool)
    (stream,) = generate_frames(as_file(data, JPEG + "202").PixelData, number_of_frames=1)
    assert np.array_equal(imagecodecs.jpeg2k_decode(stream), pixels)


@pytest.mark.parametrize("uid", [JPEG + "90", JPEG + "201", JPEG + "80", RLE])
def test_frames_stay_apart_and_the_offset_table_finds_them(pool: PixelPool, uid: str) -> None:
    images = [image("u2", seed=seed) for seed in range(7)]
    data, size = sent(Stored(part10(native(*images), NATIVE)), uid, pool)
    assert size == len(data)
    item = as_file(data, uid)
    streams = list(generate_frames(item.PixelData, number_of_frames=7))
    offsets = parse_basic_offsets(item.PixelData)
    assert len(offsets) == len(streams) == 7
    assert offsets == [sum(8 + len(one) for one in streams[:number]) for number in range(7)]
    assert decoded_by_us(data, uid, pool).PixelData == b"".join(one.tobytes() for one in images)


def test_many_frames_are_compressed_while_they_are_sent(pool: PixelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encapsulating, "AHEAD_BYTES", 3 * image("u2").nbytes)
    images = [image("u2", seed=seed) for seed in range(9)]
    stored = Stored(part10(native(*images), NATIVE))
    made = convert(stored.source, NATIVE, RLE, frame_table=stored.frame_table, pixels=pool)
    assert made.size_bytes is None
    data = b"".join(made.chunks)
    assert parse_basic_offsets(as_file(data, RLE).PixelData) == []
    assert decoded_by_us(data, RLE, pool).PixelData == b"".join(one.tobytes() for one in images)


def test_extended_offset_tables_of_the_source_are_left_out(pool: PixelPool) -> None:
    item = compressed(described(image()), [encoded(image(), JPEG + "90")])
    item.ExtendedOffsetTable, item.ExtendedOffsetTableLengths = bytes(8), bytes(8)
    data, _ = sent(Stored(part10(item, JPEG + "90")), RLE, pool)
    assert "ExtendedOffsetTable" not in as_file(data, RLE)
    assert decoded_by_us(data, RLE, pool).PixelData == image().tobytes()


@pytest.mark.parametrize("stored_uid", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_implicit_big_endian_and_deflated_sources_are_compressed_too(pool: PixelPool, stored_uid: str) -> None:
    item = native(image("u1"))
    item["PixelData"].VR = "OB"
    data, _ = sent(Stored(part10(item, stored_uid)), JPEG + "80", pool)
    assert decoded_by_us(data, JPEG + "80", pool).PixelData == image("u1").tobytes()


def test_a_native_icon_stays_and_an_encapsulated_one_is_decoded(pool: PixelPool) -> None:
    icon = image("u1", rows=8, columns=8)
    item = native(image())
    item.IconImageSequence = Sequence([pixel_module(Dataset(), described(icon))])
    item.IconImageSequence[0].PixelData = icon.tobytes()
    data, _ = sent(Stored(part10(item, NATIVE)), JPEG + "80", pool)
    assert as_file(data, JPEG + "80").IconImageSequence[0].PixelData == icon.tobytes()


@pytest.mark.parametrize("uid", LOSSY)
def test_a_lossy_instance_says_so_and_where_it_comes_from(pool: PixelPool, uid: str) -> None:
    """PS3.3 C.7.6.1.1.5: another image, with a UID of its own."""
    item = native(image("u1", rows=128, columns=128), ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    source = Stored(part10(item, NATIVE))
    back = as_file(sent(source, uid, pool)[0], uid)
    assert back.SOPInstanceUID != item.SOPInstanceUID
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{30,38}", back.SOPInstanceUID)
    assert back.SOPInstanceUID == as_file(sent(source, uid, pool)[0], uid).SOPInstanceUID
    assert list(back.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert back.LossyImageCompression == "01"
    assert back.LossyImageCompressionMethod == COMPRESSIONS[uid].method
    (stream,) = generate_frames(back.PixelData, number_of_frames=1)
    assert abs(float(back.LossyImageCompressionRatio) - 128 * 128 / len(stream)) < 0.1
    assert COMPRESSIONS[uid].method in back.DerivationDescription
    assert back.DerivationCodeSequence[0].CodeValue == "113040"
    (origin,) = back.SourceImageSequence
    assert origin.ReferencedSOPInstanceUID == item.SOPInstanceUID
    assert origin.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"


def test_what_was_lost_before_stays_in_front(pool: PixelPool) -> None:
    pixels = image("u1")
    item = compressed(described(pixels), [encoded(pixels, JPEG + "50")])
    item.LossyImageCompression, item.LossyImageCompressionRatio = "01", "8.5"
    item.LossyImageCompressionMethod, item.DerivationDescription = "ISO_10918_1", "by hand"
    origin = Dataset()
    origin.ReferencedSOPClassUID, origin.ReferencedSOPInstanceUID = item.SOPClassUID, "1.2.3.4"
    item.SourceImageSequence, item.DerivationCodeSequence = Sequence([origin]), Sequence([])
    back = as_file(sent(Stored(part10(item, JPEG + "50")), JPEG + "91", pool, is_lossy=True)[0], JPEG + "91")
    assert list(back.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert len(back.LossyImageCompressionRatio) == 2
    assert back.DerivationDescription.startswith("by hand; lossy compression ISO_15444_1")
    assert [one.ReferencedSOPInstanceUID for one in back.SourceImageSequence] == ["1.2.3.4", item.SOPInstanceUID]
    assert back.SourceImageSequence[1].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert len(back.DerivationCodeSequence) == 1


def test_the_frames_of_an_enhanced_image_are_derived_too(pool: PixelPool) -> None:
    """PS3.3 C.8.16.1: Frame Type stands in the functional groups."""
    frame_type = Dataset()
    frame_type.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    group = Dataset()
    group.CTImageFrameTypeSequence = Sequence([frame_type])
    item = native(image("u1"), image("u1", seed=2), ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    item.SharedFunctionalGroupsSequence = Sequence([group])
    for uid, first in ((JPEG + "91", "DERIVED"), (JPEG + "90", "ORIGINAL")):
        back = as_file(sent(Stored(part10(item, NATIVE)), uid, pool)[0], uid)
        frames = back.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0]
        assert (back.ImageType[0], frames.FrameType[0], back.NumberOfFrames) == (first, first, 2)


def test_colour_is_described_as_it_lies_in_the_stream(pool: PixelPool) -> None:
    item = native(image("u1", colour=True))
    wanted = {"50": "YBR_FULL_422", "80": "RGB", "90": "YBR_RCT", "91": "YBR_ICT", "203": "YBR_ICT", "112": "XYB"}
    for suffix, photometric in wanted.items():
        back = as_file(sent(Stored(part10(item, NATIVE)), JPEG + suffix, pool)[0], JPEG + suffix)
        assert (back.PhotometricInterpretation, back.PlanarConfiguration) == (photometric, 0)
        assert (back.SamplesPerPixel, back.BitsAllocated, back.BitsStored) == (3, 8, 8)


def test_what_cannot_be_compressed_is_refused_before_the_first_byte(pool: PixelPool) -> None:
    report = base()
    for item, uid in ((report, JPEG + "90"), (native(image("i2")), JPEG + "50"), (native(image()), "1.2.3")):
        with pytest.raises(NotAcceptable):
            sent(Stored(part10(item, NATIVE)), uid, pool)
    broken = compressed(described(image()), [b"\0\0"])
    with pytest.raises(NotAcceptable):
        sent(Stored(part10(broken, JPEG + "90")), RLE, pool)


def test_a_deflated_instance_inflates_to_the_plain_one(pool: PixelPool) -> None:
    uid = "1.2.840.10008.1.2.1.99"
    item = native(image())
    data, size = sent(Stored(part10(item, NATIVE)), uid, pool)
    assert size is None
    assert len(data) % 2 == 0
    assert differences(item, as_file(data, uid)) == []
    packed = native(*[image(seed=seed) for seed in range(2)])
    (tmp := io.BytesIO()).write(part10(packed, NATIVE))
    assert as_file(sent(Stored(tmp.getvalue()), uid, pool)[0], uid).PixelData == packed.PixelData


def test_every_table_row_is_a_known_transfer_syntax() -> None:
    assert set(COMPRESSIONS) <= set(TRANSFER_SYNTAXES)
