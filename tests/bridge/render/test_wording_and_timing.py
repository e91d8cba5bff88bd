"""What annotations say, and how long each frame of a film is shown."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.render.timing import durations_ms
from bridge.render.wording import PATIENT, TECHNIQUE, annotation_lines
from tests.bridge.rendering.looks import attributes


def test_the_patient_is_named_in_all_scripts_and_dates_are_readable() -> None:
    about = attributes(
        PatientName=[{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}],
        PatientID="P1",
        PatientBirthDate="19800102",
        PatientSex="M",
        StudyDate="20260305",
        StudyTime="101500.25",
    )
    assert annotation_lines(about, PATIENT) == ("Zhang San 张 三", "P1", "1980-01-02 M", "2026-03-05 10:15:00")


def test_the_technique_has_its_units() -> None:
    about = attributes(Modality="CT", SeriesNumber=2, InstanceNumber=7, KVP=120, SliceThickness=0.5)
    assert annotation_lines(about, TECHNIQUE) == ("CT", "Se 2", "Im 7", "120 kV", "ST 0.5 mm")


@pytest.mark.parametrize("kind", [PATIENT, TECHNIQUE])
def test_nothing_known_is_no_line(kind: str) -> None:
    assert annotation_lines(attributes(), kind) == ()


def test_line_breaks_in_values_do_not_break_lines() -> None:
    assert annotation_lines(attributes(PatientID="a\r\nb\tc"), PATIENT) == ("a b c",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [100, 100, 100]),
        ({"FrameTime": 40}, [40, 40, 40]),
        ({"RecommendedDisplayFrameRate": 25}, [40, 40, 40]),
        ({"CineRate": 10}, [100, 100, 100]),
        ({"FrameTimeVector": [0, 30, 50]}, [30, 50, 50]),
        ({"FrameTimeVector": [0, 30]}, [100, 100, 100]),
        ({"FrameTime": 1}, [20, 20, 20]),
        ({"FrameTime": 1e9}, [10000, 10000, 10000]),
        ({"FrameTime": -3, "CineRate": 0}, [100, 100, 100]),
        ({"FrameTime": "x"}, [100, 100, 100]),
    ],
)
def test_the_time_of_a_frame_is_what_the_image_says(values: dict[str, Any], expected: list[int]) -> None:
    assert durations_ms(attributes(**values), 3) == expected
