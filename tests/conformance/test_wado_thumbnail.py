"""Thumbnails (PS3.18 §10.4.1.1.4), requirement by requirement; the id in front of each sentence is the row."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from storage.records import ResourceRef
from tests.dicomweb.web import CT, MR_SERIES, ORIGIN, SERIES, STUDY, Web, ct, fill, open_web, parts

LEVELS = (f"/studies/{STUDY}", CT, f"{CT}/instances/{SERIES}.2", f"{CT}/instances/{SERIES}.2/frames/1")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as opened:
        for number in (3, 1, 2):
            opened.add(marked(number))
        opened.add(marked(1, series=MR_SERIES, Modality="MR", SeriesNumber=2))
        yield opened


def marked(number: int, **attributes: object) -> Dataset:
    """A CT whose one bright pixel tells which it is."""
    words = np.zeros(16, "<u2")
    words[number] = 1000
    return ct(number, PixelData=words.tobytes(), **attributes)  # type: ignore[arg-type]


def picture(response: Any) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


@pytest.mark.parametrize("path", LEVELS)
def test_w24_every_level_has_one_small_jpeg(web: Web, path: str) -> None:
    response = web.get(f"{path}/thumbnail")
    assert response.headers["content-type"] == "image/jpeg"
    assert picture(response).size == (200, 200)


def test_w24_the_middle_image_of_the_first_series_stands_for_a_study(web: Web) -> None:
    web.add(marked(4, series=f"{STUDY}.0", SeriesNumber=0, Modality="SEG"))
    shown = [web.get(f"{path}/thumbnail", "image/png").content for path in LEVELS]
    assert len(set(shown)) == 1
    assert web.get(f"{CT}/instances/{SERIES}.1/thumbnail", "image/png").content != shown[0]


def test_w24_a_thumbnail_is_the_rendered_image_made_small(web: Web) -> None:
    instance = f"{CT}/instances/{SERIES}.1"
    thumbnail = picture(web.get(f"{instance}/thumbnail?viewport=4,4", "image/png"))
    rendered = picture(web.get(f"{instance}/rendered", "image/png"))
    assert np.array_equal(np.asarray(thumbnail), np.asarray(rendered))


def test_w24_a_thumbnail_stands_still_also_as_gif(web: Web) -> None:
    web.add(ct(9, series=f"{STUDY}.9", NumberOfFrames=3, PixelData=bytes(96)))
    image = picture(web.get(f"/studies/{STUDY}/series/{STUDY}.9/thumbnail", "image/gif"))
    assert image.n_frames == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("viewport", ["4", "4,4,0,0,2,2", "a,b", "", "0,4"])
def test_w18_8_3_5_1_3_a_thumbnail_takes_width_and_height_only(web: Web, viewport: str) -> None:
    assert web.get(f"{CT}/thumbnail?viewport={viewport}").status_code == 400


def test_w24_a_thumbnail_comes_as_multipart_when_only_that_is_accepted(web: Web) -> None:
    ((header, body),) = parts(web.get(f"{CT}/thumbnail", 'multipart/related; type="image/png"'))
    assert header["content-type"] == "image/png"
    assert Image.open(io.BytesIO(body)).size == (200, 200)


def test_w24_a_thumbnail_is_never_stale(web: Web) -> None:
    before = web.get(f"{CT}/thumbnail")
    tag = before.headers["etag"]
    assert web.get(f"{CT}/thumbnail", if_none_match=tag).status_code == 304
    for number in (4, 5):
        web.add(marked(number))
    after = web.get(f"{CT}/thumbnail", if_none_match=tag)
    assert after.status_code == 200
    assert after.content != before.content


def test_w24_what_is_deleted_has_no_thumbnail(web: Web) -> None:
    assert web.get(f"{CT}/thumbnail").status_code == 200
    web.archive.index.remove(ResourceRef("default", STUDY, SERIES), ORIGIN)
    assert web.get(f"{CT}/thumbnail").status_code == 410
    assert web.get(f"/studies/{STUDY}/series/1.2.3/thumbnail").status_code == 404
    assert web.get(f"/studies/{STUDY}/series/{MR_SERIES}/thumbnail").status_code == 200


def test_w24_a_thumbnail_is_made_once_and_survives_a_restart(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        fill(web)
        first = web.get(f"{CT}/thumbnail").content
        (kept,) = (tmp_path / "thumbnails").glob("??/*")
        made_at = kept.stat().st_mtime_ns
    with open_web(tmp_path) as web:
        fill(web)  # the store of this archive is in memory
        assert web.get(f"{CT}/thumbnail").content == first
    assert kept.stat().st_mtime_ns == made_at
