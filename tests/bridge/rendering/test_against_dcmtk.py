"""Every image at hand is painted as DCMTK paints it, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.pixels import PixelPool
from bridge.settings import Pixels
from tests.bridge.corpus import files
from tests.bridge.rendering.beside_dcmtk import paint
from tests.conftest import Dcmtk

# DCMTK cuts where we round, so one grey level; two where colour is converted from luminance.
TOLERANCE, COLOUR_TOLERANCE = 1, 2
FUNCTIONAL_GROUPS = ("eCT_Supplemental", "CT0012")  # windows that dcmj2pnm does not look at
LARGEST_BYTES = 4 << 20
PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag, little and big endian


def images() -> dict[str, Path]:
    """The files that may hold an image which both sides paint."""
    found = {}
    for name, path in files().items():
        if name.startswith("shared/ct") or any(word in name for word in FUNCTIONAL_GROUPS):
            continue
        data = path.read_bytes()
        if len(data) < LARGEST_BYTES and any(tag in data for tag in PIXEL_DATA):
            found[name] = path
    return found


IMAGES = images()


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
    assert pair.ours.shape[:2] == pair.theirs.shape[:2]
    limit = COLOUR_TOLERANCE if pair.label.startswith("YBR") else TOLERANCE
    assert pair.differences.max() <= limit, pair.label
