"""Every image at hand is painted as DCMTK paints it, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.config import Pixels
from bridge.pixels import PixelPool
from tests.bridge.corpus import files
from tests.bridge.rendering.beside_dcmtk import paint
from tests.conftest import Dcmtk

# DCMTK cuts where we round, so one grey level; two where colour is converted from luminance.
TOLERANCE, COLOUR_TOLERANCE = 1, 2
FUNCTIONAL_GROUPS = ("eCT_Supplemental", "CT0012")  # windows that dcmj2pnm does not look at
LARGEST_BYTES = 4 << 20
IMAGES = {
    name: path
    for name, path in files().items()
    if not name.startswith("shared/ct") and path.stat().st_size < LARGEST_BYTES
}


@pytest.fixture(scope="module")
def pool() -> Iterator[PixelPool]:
    made = PixelPool(Pixels(workers=1))
    yield made
    made.close()


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_painted_as_dcmtk_paints_it(pool: PixelPool, dcmtk: Dcmtk, tmp_path: Path, name: str) -> None:
    pair = paint(name, IMAGES[name].read_bytes(), pool, dcmtk, tmp_path)
    if pair is None or pair.theirs is None:
        pytest.skip("there is no image that both sides paint")
    if any(word in name for word in FUNCTIONAL_GROUPS):
        pytest.skip("its window stands in functional groups, which DCMTK does not look at")
    assert pair.ours.shape[:2] == pair.theirs.shape[:2]
    limit = COLOUR_TOLERANCE if pair.label.startswith("YBR") else TOLERANCE
    assert pair.differences.max() <= limit, pair.label
