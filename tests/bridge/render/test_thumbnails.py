"""Which instance stands for a study or series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.archive import Archive
from bridge.errors import Gone, NotAcceptable, NotFound, Unavailable
from bridge.render import Render
from bridge.render.thumbnails import Thumbnails
from bridge.retrieve import Retrieve
from bridge.settings import Rendering, Settings
from storage.records import ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, data_set, moody, open_test_archive, receive

STUDY_REF = ResourceRef("default", STUDY)


class Watched(Render):
    """A renderer that notes what it is asked for."""

    def __init__(self, retrieve: Retrieve, settings: Settings) -> None:
        super().__init__(retrieve, settings)
        self.shown: list[str] = []

    def whole(self, record: Any, media_type: str, parameters: Any) -> Any:
        self.shown.append(record.ref.sop_instance_uid)
        return super().whole(record, media_type, parameters)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    yield opened
    opened.close()


def thumbnails(archive: Archive, **rendering: Any) -> tuple[Thumbnails, Watched]:
    settings = replace(archive.settings, rendering=Rendering(**rendering))
    archive.settings = settings
    retrieve = Retrieve(archive)
    render = Watched(retrieve, settings)
    return Thumbnails(archive, retrieve, render), render


def shown(archive: Archive, ref: ResourceRef = STUDY_REF, **rendering: Any) -> str:
    """The instance a thumbnail shows."""
    made, render = thumbnails(archive, **rendering)
    assert made.picture(ref, "image/jpeg").startswith(b"\xff\xd8")
    return render.shown[0]


def test_the_middle_of_the_first_series_stands_for_a_study(archive: Archive) -> None:
    for number in (1, 2, 3):
        receive(archive, data_set(number, series=f"{SERIES}.9", SeriesNumber=9))
        receive(archive, data_set(number, series=f"{SERIES}.10", SeriesNumber=10))
    assert shown(archive) == f"{SERIES}.9.2"
    assert shown(archive, ResourceRef("default", STUDY, f"{SERIES}.10")) == f"{SERIES}.10.2"


def test_instances_are_ordered_by_their_number_not_by_uid(archive: Archive) -> None:
    for number, place in ((1, 30), (2, 10), (3, 20)):
        receive(archive, data_set(number, InstanceNumber=place))
    assert shown(archive) == f"{SERIES}.3"


@pytest.mark.parametrize("modality", ["SEG", "RTDOSE", "PR", "KO", "SR"])
def test_results_stand_for_a_study_only_when_there_is_nothing_else(archive: Archive, modality: str) -> None:
    receive(archive, data_set(1, series=f"{SERIES}.1", SeriesNumber=1, Modality=modality))
    assert shown(archive) == f"{SERIES}.1.1"
    receive(archive, data_set(1, series=f"{SERIES}.2", SeriesNumber=2))
    assert shown(archive) == f"{SERIES}.2.1"


def test_a_series_without_a_number_comes_last(archive: Archive) -> None:
    receive(archive, data_set(1, series=f"{SERIES}.1", SeriesNumber=None))
    receive(archive, data_set(1, series=f"{SERIES}.2", SeriesNumber=7))
    assert shown(archive) == f"{SERIES}.2.1"


def test_of_a_slide_the_smallest_picture_of_the_tissue_is_shown_never_the_label(archive: Archive) -> None:
    for number, (flavor, frames) in enumerate((("LABEL", 1), ("OVERVIEW", 1), ("VOLUME", 2), ("VOLUME", 1)), 1):
        kind = ["ORIGINAL", "PRIMARY", flavor, "NONE"]
        receive(archive, data_set(number, Modality="SM", ImageType=kind, NumberOfFrames=frames, PixelData=bytes(64)))
    assert shown(archive) == f"{SERIES}.4"
    receive(archive, data_set(5, Modality="SM", ImageType=["DERIVED", "PRIMARY", "THUMBNAIL", "RESAMPLED"]))
    assert shown(archive) == f"{SERIES}.5"


def test_where_the_middle_one_is_broken_its_neighbours_are_tried(archive: Archive) -> None:
    for number in (1, 2, 3):
        receive(archive, data_set(number, **({"Rows": 60000, "PixelData": bytes(2)} if number == 2 else {})))
    made, render = thumbnails(archive)
    made.picture(STUDY_REF, "image/jpeg")
    assert render.shown == [f"{SERIES}.2", f"{SERIES}.1"]


def test_a_study_of_broken_images_says_why(archive: Archive) -> None:
    receive(archive, data_set(1, Rows=60000, PixelData=bytes(2)))
    with pytest.raises(NotAcceptable, match="shorter"):
        thumbnails(archive)[0].picture(STUDY_REF, "image/jpeg")


def test_no_more_instances_are_looked_at_than_the_limit(archive: Archive) -> None:
    for number in range(1, 8):
        receive(archive, data_set(number))
    assert shown(archive, thumbnail_scan_limit=3) == f"{SERIES}.2"


def test_a_picture_is_drawn_once_for_each_size_and_type(archive: Archive) -> None:
    receive(archive, data_set(1))
    made, render = thumbnails(archive)
    for _ in range(2):
        made.picture(STUDY_REF, "image/jpeg")
        made.picture(STUDY_REF, "image/png")
        made.picture(STUDY_REF, "image/jpeg", frame=1)
    assert len(render.shown) == 2  # the frame is drawn by another verb


def test_what_is_not_there_is_said_as_everywhere(archive: Archive) -> None:
    made, _ = thumbnails(archive)
    with pytest.raises(NotFound):
        made.revision(STUDY_REF)
    receive(archive, data_set(1))
    before = made.revision(STUDY_REF)
    receive(archive, data_set(2))
    assert made.revision(STUDY_REF) != before
    archive.index.remove(STUDY_REF, ORIGIN)
    with pytest.raises(Gone):
        made.revision(STUDY_REF)


def test_a_kept_picture_needs_no_object_store(archive: Archive) -> None:
    receive(archive, data_set(1))
    made, _ = thumbnails(archive)
    first = made.picture(STUDY_REF, "image/jpeg")
    moody(archive).delete(next(iter(archive.index.instances(STUDY_REF))).location.key)
    assert made.picture(STUDY_REF, "image/jpeg") == first
    with pytest.raises((Unavailable, NotFound)):
        made.picture(STUDY_REF, "image/png")
