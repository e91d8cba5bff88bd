"""Generated objects are what pydicom reads back."""

from __future__ import annotations

import io

import pytest
from pydicom import dcmread

from bench.answers import data_set, parts
from bench.objects import Template, ct_template, multiframe_template, person, tiny_template, uid


@pytest.mark.parametrize("template", [tiny_template(), ct_template(), ct_template(implicit=True)])
def test_a_filled_template_is_a_valid_file_with_the_values_given(template: Template) -> None:
    who = person(1234, 5000)
    read = dcmread(io.BytesIO(template.fill(who, series=uid(2), instance=uid(3), number=7)))
    assert (read.StudyInstanceUID, read.SeriesInstanceUID, read.SOPInstanceUID) == (who.study_uid, uid(2), uid(3))
    assert read.file_meta.MediaStorageSOPInstanceUID == uid(3)
    assert (str(read.PatientName), read.PatientID, read.StudyDate) == (who.name, who.patient_id, who.study_date)
    assert read.InstanceNumber == 7
    assert len(read.PixelData) == read.Rows * read.Columns * 2


def test_the_data_set_begins_behind_the_file_meta() -> None:
    content = tiny_template().fill(person(1, 100), series=uid(2), instance=uid(3))
    assert data_set(content)[:2] == b"\x08\x00"


def test_a_multiframe_object_has_its_frames() -> None:
    read = dcmread(io.BytesIO(multiframe_template(3).fill(person(1, 100), series=uid(2), instance=uid(3))))
    assert read.pixel_array.shape == (3, 512, 512)


def test_people_are_distinct_and_fifty_share_a_surname() -> None:
    people = [person(number, 1000) for number in range(1000)]
    assert len({who.study_uid for who in people}) == len({who.name for who in people}) == 1000
    assert sum(who.name.startswith(people[3].name.split("^")[0]) for who in people) == 50


def test_parts_of_a_multipart_answer() -> None:
    body = b"--b\r\nContent-Type: x\r\n\r\none\r\n--b\r\nContent-Type: x\r\n\r\ntwo\r\n--b--\r\n"
    assert parts('multipart/related; boundary="b"', body) == [b"one", b"two"]
