"""Rendered resources, requirement by requirement; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from bridge.render import Render
from bridge.settings import Rendering, Settings
from bridge.syntaxes import TRANSFER_SYNTAXES
from storage.records import ResourceRef
from tests.bridge.frames_of import described, encoded
from tests.bridge.frames_of import image as image_of
from tests.bridge.objects import compressed, part10
from tests.dicomweb.web import CT, ORIGIN, ROOT, SERIES, STUDY, Web, ct, fill, open_web, parts

INSTANCE = f"{CT}/instances/{SERIES}.1"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        fill(opened)
        yield opened


def picture(response: Any, form: str) -> Image.Image:
    """The picture of a single part answer."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == f"image/{form.lower()}"
    image = Image.open(io.BytesIO(response.content))
    image.load()
    assert image.format == form
    return image


@pytest.mark.parametrize("accept", [None, "*/*", "image/*", "image/jpeg"])
def test_w16_8_7_4_jpeg_is_the_default(web: Web, accept: str | None) -> None:
    image = picture(web.get(f"{INSTANCE}/rendered", accept), "JPEG")
    assert (image.size, image.mode) == ((4, 4), "L")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP"])
def test_w16_8_7_4_other_types_come_when_they_are_named(web: Web, form: str) -> None:
    assert picture(web.get(f"{INSTANCE}/rendered", f"image/{form.lower()}"), form).size == (4, 4)


def test_w17_10_4_4_a_series_is_multipart(web: Web) -> None:
    response = web.get(f"{CT}/rendered", 'multipart/related; type="image/png"')
    found = parts(response)
    assert [header["content-type"] for header, _ in found] == ["image/png"] * 3
    assert found[0][0]["content-location"] == f"http://pacs.test:8042{ROOT}{INSTANCE}/rendered"
    assert Image.open(io.BytesIO(found[0][1])).size == (4, 4)
    assert web.get(f"{CT}/rendered", "image/png").status_code == 406


def test_w17_a_study_is_multipart_whatever_is_accepted(web: Web) -> None:
    assert len(parts(web.get(f"/studies/{STUDY}/rendered"))) == 4


@pytest.mark.parametrize(
    "query",
    [
        "quality=0", "quality=101", "quality=", "quality=a", "viewport=", "viewport=10", "viewport=0,10",
        "viewport=10,10,0,0,0", "viewport=10,10,0,0,0,5", "viewport=10,10,-1,0,5,5", "viewport=99999,1",
        "window=1,2", "window=1,2,", "window=1,2,cubic", "window=1,,linear", "window=1,0.5,linear",
        "window=1,0,linear-exact", "window=1,-2,sigmoid", "window=nan,2,linear", "window=1,1e99999,linear",
    ],
)  # fmt: skip
def test_w18_w19_8_3_5_1_a_bad_value_is_400(web: Web, query: str) -> None:
    response = web.get(f"{INSTANCE}/rendered?{query}")
    assert response.status_code == 400, response.status_code
    assert response.json()["detail"]


def test_w19_8_3_5_1_4_a_window_chooses_what_is_black_and_white(web: Web) -> None:
    words = np.frombuffer(bytes((7 + position) % 256 for position in range(32)), "<u2").reshape(4, 4)
    response = web.get(f"{INSTANCE}/rendered?window={int(words[1, 1])},1,linear", "image/png")
    assert np.array_equal(np.asarray(picture(response, "PNG")), np.where(words >= words[1, 1], 255, 0))


def test_w18_8_3_5_1_3_a_region_is_cut_then_scaled_and_mirrored(web: Web) -> None:
    whole = np.asarray(picture(web.get(f"{INSTANCE}/rendered", "image/png"), "PNG"))
    cut = picture(web.get(f"{INSTANCE}/rendered?viewport=2,2,1,,-2,2", "image/png"), "PNG")
    assert np.array_equal(np.asarray(cut), whole[:2, 1:3][:, ::-1])
    assert picture(web.get(f"{INSTANCE}/rendered?viewport=20,10", "image/png"), "PNG").size == (10, 10)


def test_w27_an_unchanged_picture_is_304(web: Web) -> None:
    tag = web.get(f"{INSTANCE}/rendered").headers["etag"]
    assert web.get(f"{INSTANCE}/rendered", if_none_match=tag).status_code == 304
    assert web.get(f"{INSTANCE}/rendered?quality=50", if_none_match=tag).status_code == 200


def test_w27_an_unchanged_series_is_304_until_an_instance_comes(tmp_path: Path) -> None:
    with open_web(tmp_path) as other:
        fill(other)
        tag = other.get(f"{CT}/rendered").headers["etag"]
        assert other.get(f"{CT}/rendered", if_none_match=tag).status_code == 304
        assert other.get(f"{CT}/rendered", 'multipart/related; type="image/png"', if_none_match=tag).status_code == 200
        other.add(ct(4))
        assert other.get(f"{CT}/rendered", if_none_match=tag).status_code == 200


def test_w9_10_4_1_1_6_frames_are_chosen_by_number(web: Web) -> None:
    assert picture(web.get(f"{INSTANCE}/frames/1/rendered", "image/png"), "PNG").size == (4, 4)
    assert web.get(f"{INSTANCE}/frames/2/rendered").status_code == 404
    assert web.get(f"{INSTANCE}/frames/0/rendered").status_code == 400
    assert len(parts(web.get(f"{INSTANCE}/frames/1,1/rendered"))) == 2


def multiframe(**attributes: object) -> Dataset:
    """Three frames, each of one grey level."""
    item = ct(9, NumberOfFrames=3, WindowCenter=128, WindowWidth=256, **attributes)
    item.PixelData = b"".join(np.full(16, level, "<u2").tobytes() for level in (0, 100, 200))
    return item


@pytest.fixture(scope="module")
def cine(web: Web) -> str:
    web.add(multiframe(series=f"{STUDY}.9", FrameTime=40, Modality="US"))
    return f"/studies/{STUDY}/series/{STUDY}.9/instances/{STUDY}.9.9"


def level(image: Image.Image) -> int:
    pixel = image.convert("L").getpixel((0, 0))
    assert isinstance(pixel, int)
    return pixel


def test_w16_8_7_4_a_multi_frame_image_is_an_animation_as_gif(web: Web, cine: str) -> None:
    image = Image.open(io.BytesIO(web.get(f"{cine}/rendered", "image/gif").content))
    assert image.n_frames == 3  # type: ignore[attr-defined]
    seen = []
    for number in range(3):
        image.seek(number)
        seen.append((level(image), image.info["duration"]))
    assert seen == [(0, 40), (100, 40), (200, 40)]


def test_w17_10_4_4_a_multi_frame_image_is_every_frame_in_multipart(web: Web, cine: str) -> None:
    found = parts(web.get(f"{cine}/rendered", 'multipart/related; type="image/png"'))
    assert [level(Image.open(io.BytesIO(body))) for _, body in found] == [0, 100, 200]
    assert [header["content-location"][-18:] for header, _ in found] == [f"/frames/{n}/rendered" for n in (1, 2, 3)]


def test_w17_one_still_of_a_multi_frame_image_says_which_frame_it_is(web: Web, cine: str) -> None:
    response = web.get(f"{cine}/rendered", "image/png")
    assert level(picture(response, "PNG")) == 100
    assert response.headers["content-location"].endswith(f"{cine}/frames/2/rendered")
    assert level(picture(web.get(f"{cine}/frames/3/rendered", "image/png"), "PNG")) == 200


def test_w17_the_frame_that_an_image_names_stands_for_it(web: Web) -> None:
    web.add(multiframe(series=f"{STUDY}.8", RepresentativeFrameNumber=3))
    path = f"/studies/{STUDY}/series/{STUDY}.8/instances/{STUDY}.8.9"
    for resource in ("rendered", "thumbnail"):
        assert level(picture(web.get(f"{path}/{resource}", "image/png"), "PNG")) == 200


def test_w16_an_animation_beyond_the_limit_is_406(tmp_path: Path) -> None:
    with open_web(tmp_path) as small:
        small.add(multiframe(series=f"{STUDY}.9"))
        small.door.render = Render(small.door.retrieve, Settings(rendering=Rendering(animation_limit_bytes=50)))
        path = f"/studies/{STUDY}/series/{STUDY}.9/instances/{STUDY}.9.9/rendered"
        assert small.get(path, "image/gif").status_code == 406
        assert small.get(path, "image/png").status_code == 200


def test_w20_8_3_5_1_1_annotation_writes_into_the_picture(web: Web) -> None:
    path = f"{INSTANCE}/rendered?viewport=256,256"
    plain = np.asarray(picture(web.get(path, "image/png"), "PNG")).astype(int)
    for words, changed in (("patient", True), ("technique", True), ("patient,technique", True), ("moon", False)):
        response = web.get(f"{path}&annotation={words}", "image/png")
        assert np.array_equal(np.asarray(picture(response, "PNG")), plain) is not changed


def test_w20_unknown_words_are_passed_over_with_a_warning(web: Web) -> None:
    response = web.get(f"{INSTANCE}/rendered?annotation=patient,moon%0d%0aX-Evil:1,sun")
    assert response.headers["warning"] == (
        f"299 http://pacs.test:8042{ROOT}: The following annotation values are not supported: moon??X-Evil:1, sun"
    )
    assert "x-evil" not in response.headers
    assert "warning" not in web.get(f"{INSTANCE}/rendered?annotation=patient").headers


@pytest.mark.parametrize("query", ["annotation=", "annotation=,", "annotation=patient,", "iccprofile=", "iccprofile=x"])
def test_w20_w21_a_bad_value_is_400(web: Web, query: str) -> None:
    assert web.get(f"{INSTANCE}/rendered?{query}").status_code == 400


@pytest.mark.parametrize(("accept", "has_place"), [("image/jpeg", True), ("image/png", True), ("image/gif", False)])
def test_w21_8_3_5_1_5_a_profile_comes_where_the_type_has_a_place_for_it(
    web: Web, accept: str, has_place: bool
) -> None:
    response = web.get(f"{INSTANCE}/rendered?iccprofile=yes", accept)
    assert response.status_code == (200 if has_place else 400)
    if has_place:
        assert Image.open(io.BytesIO(response.content)).info["icc_profile"][36:40] == b"acsp"
    assert "icc_profile" not in Image.open(io.BytesIO(web.get(f"{INSTANCE}/rendered", accept).content)).info
    assert web.get(f"{INSTANCE}/rendered?iccprofile=no", accept).status_code == 200


def test_w23_pixels_that_are_no_squares_are_stretched(web: Web) -> None:
    web.add(ct(1, series=f"{STUDY}.7", PixelSpacing=[2, 1]))
    path = f"/studies/{STUDY}/series/{STUDY}.7/instances/{STUDY}.7.1"
    assert picture(web.get(f"{path}/rendered", "image/png"), "PNG").size == (4, 8)


def test_w23_each_frame_of_an_enhanced_image_has_its_own_window(web: Web) -> None:
    def groups(center: int) -> Dataset:
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = center, 1
        group.FrameVOILUTSequence = [window]
        return group

    item = multiframe(series=f"{STUDY}.6", PerFrameFunctionalGroupsSequence=[groups(50), groups(150), groups(150)])
    web.add(item)
    path = f"/studies/{STUDY}/series/{STUDY}.6/instances/{STUDY}.6.9/frames"
    seen = [level(picture(web.get(f"{path}/{number}/rendered", "image/png"), "PNG")) for number in (1, 2, 3)]
    assert seen == [0, 0, 255]


def test_w23_a_worker_draws_what_the_door_draws(tmp_path: Path) -> None:
    with open_web(tmp_path) as other:
        fill(other)
        here = other.get(f"{INSTANCE}/rendered?annotation=patient", "image/png").content
        other.door.render = Render(other.door.retrieve, Settings(rendering=Rendering(inline_frame_bytes=0)))
        assert other.get(f"{INSTANCE}/rendered?annotation=patient", "image/png").content == here


def test_g9_8_3_3_1_the_accept_parameter_chooses_the_type(web: Web) -> None:
    assert picture(web.get(f"{INSTANCE}/rendered?accept=image/png"), "PNG").size == (4, 4)
    assert web.get(f"{INSTANCE}/rendered?accept=image/*").status_code == 400
    assert web.get(f"{INSTANCE}/rendered?accept=application/dicom", "image/png").status_code == 406


@pytest.mark.parametrize("accept", ["application/dicom", "image/bmp", "image/png; transfer-syntax=1.2.840.10008.1.2.1"])
def test_w16_what_cannot_be_rendered_so_is_406_and_says_what_can(web: Web, accept: str) -> None:
    response = web.get(f"{INSTANCE}/rendered", accept)
    assert response.status_code == 406
    assert "image/png" in response.json()["detail"]


def test_w16_what_browsers_accept_is_answered_with_jpeg(web: Web) -> None:
    accept = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
    picture(web.get(f"{INSTANCE}/rendered", accept), "JPEG")
    picture(web.get(f"{INSTANCE}/rendered", "image/webp,image/jpeg;q=0.5"), "WEBP")


def test_w26_a_wrong_parent_is_404_and_what_was_deleted_410(tmp_path: Path) -> None:
    with open_web(tmp_path) as other:
        fill(other)
        assert other.get(f"/studies/1.2.3/series/{SERIES}/instances/{SERIES}.1/rendered").status_code == 404
        other.archive.index.remove(ResourceRef("default", STUDY, SERIES, f"{SERIES}.1"), ORIGIN)
        assert other.get(f"{INSTANCE}/rendered").status_code == 410


def test_w17_what_has_no_picture_is_left_out_and_alone_is_406(tmp_path: Path) -> None:
    with open_web(tmp_path) as other:
        other.add(ct(1, PixelData=None))
        assert other.get(f"{INSTANCE}/rendered").status_code == 406
        assert other.get(f"{CT}/rendered").status_code == 406
        other.add(ct(2))
        assert len(parts(other.get(f"{CT}/rendered"))) == 1


HOSTILE: dict[str, dict[str, object]] = {
    "more rows than pixels": {"Rows": 60000, "Columns": 60000},
    "no rows": {"Rows": 0},
    "four samples": {"SamplesPerPixel": 4, "PhotometricInterpretation": "CMYK"},
    "palette without a palette": {"PhotometricInterpretation": "PALETTE COLOR"},
    "odd bits": {"BitsAllocated": 48},
    "more frames than pixels": {"NumberOfFrames": 200000000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_w23_an_image_that_cannot_be_is_406(tmp_path: Path, name: str) -> None:
    with open_web(tmp_path) as other:
        other.add(ct(1, **HOSTILE[name]))
        for resource in ("rendered", "thumbnail"):
            assert other.get(f"{INSTANCE}/{resource}").status_code == 406


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"])
def test_w23_a_broken_stream_is_406(tmp_path: Path, syntax: str) -> None:
    with open_web(tmp_path) as other:
        item = ct(1, Rows=60000, Columns=60000)
        item.PixelData = encapsulate([b"\xff\xd8\xff\xe0 rubbish"])
        item["PixelData"].is_undefined_length = True
        other.add(item, syntax)
        assert other.get(f"{INSTANCE}/rendered").status_code == 406
        assert other.get(f"{INSTANCE}/thumbnail").status_code == 406


SYNTAXES = {
    "implicit": "pydicom-pydicom__test_files__rtdose.dcm",
    "big endian": "pydicom-pydicom__test_files__MR_small_bigendian.dcm",
    "deflated": "pydicom-pydicom__test_files__image_dfl.dcm",
    "jpeg": "pydicom-pydicom__test_files__examples_ybr_color.dcm",
    "jpeg-ls": "pydicom-pydicom__test_files__MR_small_jpeg_ls_lossless.dcm",
    "jpeg 2000": "pydicom-pydicom__test_files__JPEG2000.dcm",
    "rle": "pydicom-pydicom__test_files__MR_small_RLE.dcm",
    "float": "pydicom-pydicom-data__parametric_map_float.dcm",
    "one bit": "pydicom-pydicom__test_files__liver_1frame.dcm",
    "palette": "pydicom-pydicom-data__gdcm-US-ALOKA-16_big.dcm",
}


@pytest.mark.parametrize("name", SYNTAXES)
def test_w23_every_syntax_paints(tmp_path: Path, shared_data: Path, name: str) -> None:
    with open_web(tmp_path) as other:
        ref = other.add_file(shared_data / "variety" / SYNTAXES[name])
        series = f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}"
        image = picture(other.get(f"{series}/instances/{ref.sop_instance_uid}/rendered"), "JPEG")
        assert len(set(np.asarray(image.convert("L")).ravel().tolist())) > 1


TWELVE_BITS = "1.2.840.10008.1.2.4.51"  # its encoder writes nothing else
COMPRESSED = [
    uid for uid, row in TRANSFER_SYNTAXES.items() if row.encapsulated and row.decodable and uid != TWELVE_BITS
]


def test_w23_every_compressed_syntax_paints(tmp_path: Path) -> None:
    pixels = image_of("u1")
    for number, uid in enumerate(COMPRESSED):
        item = compressed(described(pixels), [encoded(pixels, uid)], SOPInstanceUID=f"1.2.3.{number}")
        (tmp_path / f"{number}.dcm").write_bytes(part10(item, uid))
    with open_web(tmp_path) as other:
        for number, uid in enumerate(COMPRESSED):
            ref = other.add_file(tmp_path / f"{number}.dcm")
            series = f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}"
            image = picture(other.get(f"{series}/instances/{ref.sop_instance_uid}/rendered", "image/png"), "PNG")
            assert np.corrcoef(np.asarray(image).ravel(), pixels.ravel())[0, 1] > 0.99, uid
