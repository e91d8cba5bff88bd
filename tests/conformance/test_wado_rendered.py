"""Rendered resources, requirement by requirement; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.dicomweb.web import CT, ROOT, SERIES, STUDY, Web, fill, open_web, parts

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


def test_w9_10_4_1_1_6_frames_are_chosen_by_number(web: Web) -> None:
    assert picture(web.get(f"{INSTANCE}/frames/1/rendered", "image/png"), "PNG").size == (4, 4)
    assert web.get(f"{INSTANCE}/frames/2/rendered").status_code == 404
    assert web.get(f"{INSTANCE}/frames/0/rendered").status_code == 400
    assert len(parts(web.get(f"{INSTANCE}/frames/1,1/rendered"))) == 2
