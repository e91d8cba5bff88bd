"""What is kept of a data set, and how functional groups become attributes of a frame."""

from __future__ import annotations

from bridge.rendering.header import read_header
from tests.bridge.rendering.looks import document


def test_only_what_decides_the_looks_is_kept() -> None:
    header = read_header(document(WindowCenter=1, PatientName="X"))
    assert header.whole == document(WindowCenter=1)
    assert header.of_frame(1) == header.whole


def test_shared_groups_stand_for_every_frame_and_own_ones_for_theirs() -> None:
    shared = document(PixelValueTransformationSequence=[document(RescaleSlope=2)])
    second = document(FrameVOILUTSequence=[document(WindowCenter=7, WindowWidth=3)])
    header = read_header(
        document(
            WindowCenter=1,
            SharedFunctionalGroupsSequence=[shared],
            PerFrameFunctionalGroupsSequence=[document(), second],
        )
    )
    assert header.of_frame(1) == document(WindowCenter=1, RescaleSlope=2)
    assert header.of_frame(2) == document(WindowCenter=7, RescaleSlope=2, WindowWidth=3)
    assert header.of_frame(99) == header.of_frame(1)


def test_more_can_be_kept_beside_the_looks() -> None:
    header = read_header(document(FrameTime=40, Rows=3), ("FrameTime",))
    assert (header.whole, header.about) == ({}, document(FrameTime=40))


def test_the_colour_profile_is_found_at_the_top_or_in_the_first_optical_path() -> None:
    assert read_header(document(ICCProfile=b"top")).profile == b"top"
    path = document(OpticalPathSequence=[document(ICCProfile=b"path"), document(ICCProfile=b"other")])
    assert read_header(path).profile == b"path"


def test_garbage_in_sequences_is_passed_over() -> None:
    assert read_header(document(PerFrameFunctionalGroupsSequence=[None, 3], OpticalPathSequence="x")).frames == {}
