"""The three window functions against the standard's pseudo-code (PS3.3 §C.11.2.1.2, §C.11.2.1.3)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rendering.windows import LINEAR, LINEAR_EXACT, SIGMOID, Window, spanning

VALUES = st.floats(-70000, 70000, allow_nan=False)
WIDTHS = st.floats(1, 70000, allow_nan=False)


def shown(window: Window, value: float) -> float:
    return float(window.apply(np.array([value]))[0])


@given(x=VALUES, c=VALUES, w=WIDTHS)
def test_linear_is_the_standards_pseudo_code(x: float, c: float, w: float) -> None:
    if x <= c - 0.5 - (w - 1) / 2:
        expected = 0.0
    elif x > c - 0.5 + (w - 1) / 2:
        expected = 255.0
    else:
        expected = ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    assert shown(Window(c, w, LINEAR), x) == pytest.approx(expected, abs=1e-3)


@given(x=VALUES, c=VALUES, w=st.floats(1e-3, 70000))
def test_linear_exact_is_the_standards_pseudo_code(x: float, c: float, w: float) -> None:
    if x <= c - w / 2:
        expected = 0.0
    elif x > c + w / 2:
        expected = 255.0
    else:
        expected = ((x - c) / w + 0.5) * 255
    assert shown(Window(c, w, LINEAR_EXACT), x) == pytest.approx(expected, abs=1e-3)


@given(x=st.floats(-2000, 2000), c=st.floats(-1000, 1000), w=st.floats(10, 4000))
def test_sigmoid_is_the_standards_pseudo_code(x: float, c: float, w: float) -> None:
    power = min(-4 * (x - c) / w, 700.0)  # beyond, a double overflows and the level is 0 anyway
    assert shown(Window(c, w, SIGMOID), x) == pytest.approx(255 / (1 + math.exp(power)), abs=1e-6)


def test_a_linear_window_of_width_one_is_a_threshold() -> None:
    assert Window(10, 1, LINEAR).apply(np.array([9.0, 9.5, 9.6, 10.0])).tolist() == [0, 0, 255, 255]


def test_a_linear_window_narrower_than_one_is_read_as_exact() -> None:
    assert Window(0.5, 0.2, LINEAR).apply(np.array([0.4, 0.5, 0.6])).tolist() == pytest.approx([0, 127.5, 255])


def test_the_window_between_two_values_shows_them_black_and_white() -> None:
    assert spanning(-3, 7).apply(np.array([-3.0, 2.0, 7.0])).tolist() == [0, 127.5, 255]
