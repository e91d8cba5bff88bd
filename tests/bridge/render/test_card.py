"""Cards for what has no picture of its own."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bridge.kinds import Kind
from bridge.render.card import card
from bridge.rendering.encoding import STILLS
from bridge.rendering.geometry import Viewport


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


@pytest.mark.parametrize("media_type", STILLS)
def test_a_card_comes_in_every_type(media_type: str) -> None:
    assert opened(card(Kind.REPORT, media_type, Viewport(80, 60), 80)).size == (80, 60)


def test_every_kind_has_a_card_of_its_own() -> None:
    cards = [card(kind, "image/png", Viewport(200, 200), None) for kind in Kind]
    assert len(set(cards)) == len(cards)


@pytest.mark.parametrize("side", [1, 2, 3, 4000])
def test_a_card_fits_any_box(side: int) -> None:
    assert opened(card(Kind.VIDEO, "image/png", Viewport(side, side), None)).size == (side, side)
