"""Grey levels and geometry of presentation states, beside DCMTK's dcmp2pgm (which draws no shutters and texts)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.bridge.shown import presentation_state, referenced, sequence_item
from tests.conftest import Dcmtk
from tests.dicomweb.web import Web, open_web, save

pytestmark = pytest.mark.server

STORED_WINDOW = [sequence_item(WindowCenter="1040", WindowWidth="400")]
HOUNSFIELD_WINDOW = [sequence_item(WindowCenter="16", WindowWidth="400")]


def table(first: int, bits: int, entries: list[int]) -> list[Dataset]:
    item = sequence_item(LUTDescriptor=[len(entries), first, bits], LUTExplanation="test")
    item.add_new("LUTData", "US", entries)
    return [item]


CURVE = [int(65535 * (level / 255) ** 2) for level in range(256)]
MODALITY = table(0, 12, [min(4095, 2 * level) for level in range(4096)])
MODALITY[0].ModalityLUTType = "US"
STATES: dict[str, dict[str, Any]] = {
    "N.2.1 a window of stored values": {"SoftcopyVOILUTSequence": STORED_WINDOW},
    "N.2.1 a rescale and a window": {
        "RescaleSlope": "1", "RescaleIntercept": "-1024", "RescaleType": "HU",
        "SoftcopyVOILUTSequence": HOUNSFIELD_WINDOW,
    },
    "N.2.1 no window at all": {},
    "N.2.1 a VOI LUT": {"SoftcopyVOILUTSequence": [sequence_item(VOILUTSequence=table(900, 16, CURVE))]},
    "C.11.6 the inverse presentation LUT": {
        "SoftcopyVOILUTSequence": STORED_WINDOW, "PresentationLUTShape": "INVERSE",
    },
    "C.11.4 a presentation LUT": {
        "SoftcopyVOILUTSequence": STORED_WINDOW, "PresentationLUTShape": None,
        "PresentationLUTSequence": table(0, 12, [level * level // 4095 for level in range(4096)]),
    },
    "C.11.1 a modality LUT": {
        "ModalityLUTSequence": MODALITY,
        "SoftcopyVOILUTSequence": [sequence_item(WindowCenter="2000", WindowWidth="3000")],
    },
    "C.10.6 a rotation": {"SoftcopyVOILUTSequence": STORED_WINDOW, "ImageRotation": 90, "ImageHorizontalFlip": "N"},
    "C.10.6 a rotation and a flip": {
        "SoftcopyVOILUTSequence": STORED_WINDOW, "ImageRotation": 270, "ImageHorizontalFlip": "Y",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


@pytest.mark.parametrize("name", STATES)
def test_a_presentation_state_gives_the_pixels_that_dcmtk_gives(
    name: str, web: Web, dcmtk: Dcmtk, shared_data: Path, tmp_path: Path
) -> None:
    image = shared_data / "variety" / "pydicom-pydicom__test_files__CT_small.dcm"
    web.add_file(image)
    state = state_of(dcmread(image), list(STATES).index(name), STATES[name])
    theirs = dcmtk.run("dcmp2pgm", "-p", save(state, tmp_path / "state.dcm"), image, tmp_path / "theirs.pgm")
    assert theirs.returncode == 0, theirs.stderr
    ref = web.add_file(tmp_path / "state.dcm")
    place = f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"
    response = web.get(f"{place}/rendered", "image/png")
    assert response.status_code == 200, response.text
    ours = np.asarray(Image.open(io.BytesIO(response.content)), np.int16)
    expected = np.asarray(Image.open(tmp_path / "theirs.pgm"), np.int16)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= 1  # they cut off, we round


def state_of(image: Dataset, number: int, attributes: dict[str, Any]) -> Dataset:
    state = presentation_state()
    state.StudyInstanceUID, state.SeriesInstanceUID = image.StudyInstanceUID, f"{image.SeriesInstanceUID}.9"
    state.SOPInstanceUID = f"{image.SOPInstanceUID}.{number}"
    (series,) = state.ReferencedSeriesSequence
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedImageSequence = [referenced(image.SOPInstanceUID)]
    area = sequence_item(
        DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[image.Columns, image.Rows],
        PresentationSizeMode="SCALE TO FIT", PresentationPixelAspectRatio=["1", "1"],
    )  # fmt: skip
    state.DisplayedAreaSelectionSequence = [area]
    for keyword, value in attributes.items():
        if value is None:
            delattr(state, keyword)
        else:
            setattr(state, keyword, value)
    return state
