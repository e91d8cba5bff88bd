"""A recording laid out on paper, in millimetres (ECG paper: 25 mm/s, 10 mm/mV, squares of 1 and 5 mm). Pure.

Every channel has a row of its own over the whole time shown, so nothing of it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.waveforms.signals import Channel, Group, Recording

SECONDS_SHOWN = 12.0  # of each multiplex group
SPEED_MM_S = 25.0
GAIN_MM_MV = 10.0

_MARGIN = 5.0
_LEAD_IN = 20.0  # before the trace: the label and the calibration pulse
_ROW_LEAST, _ROW_MOST = 15.0, 60.0
_TEXT, _SMALL_TEXT, _LINE = 3.2, 2.4, 5.0  # height of letters, of a line of text
_STATEMENTS_SHOWN, _MEASUREMENTS_SHOWN = 8, 24
_A_LINE = 5  # measurements
_CHARACTERS_SHOWN, _NAME_SHOWN = 140, 24
_POINTS_PER_MM = 10  # of a trace; more are drawn as the highest and lowest of each place
_PULSE_MM = 5.0
_MILLIVOLTS = {"nV": 1e-6, "uV": 1e-3, "µV": 1e-3, "mV": 1.0, "V": 1e3}  # UCUM -> mV

Points = NDArray[np.float64]  # n x 2, x to the right, y down


@dataclass(frozen=True, slots=True)
class Box:
    """Squared paper."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    """Text whose base line begins at a point."""

    left: float
    base: float
    text: str
    size: float = _TEXT


@dataclass(slots=True)
class Sheet:
    """Everything that is on the paper."""

    width: float
    height: float = _MARGIN
    boxes: list[Box] = field(default_factory=list)
    traces: list[Points] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def write(self, text: str, size: float = _TEXT) -> None:
        """A line of text below what is there."""
        shown = text if len(text) <= _CHARACTERS_SHOWN else text[: _CHARACTERS_SHOWN - 1] + "…"
        self.labels.append(Label(_MARGIN, self.height + _LINE - 1.2, " ".join(shown.split()), size))
        self.height += _LINE


def lay_out(recording: Recording, *, calibrated: bool, heading: Sequence[str] = ()) -> Sheet:
    """The sheet; `calibrated` draws voltages at 10 mm/mV where they fit, as for an ECG. `heading` stands above it."""
    longest = max(min(group.duration_s, SECONDS_SHOWN) for group in recording.groups)
    sheet = Sheet(width=2 * _MARGIN + _LEAD_IN + _up(longest * SPEED_MM_S))
    measurements = recording.measurements[:_MEASUREMENTS_SHOWN]
    lines = [", ".join(measurements[start : start + _A_LINE]) for start in range(0, len(measurements), _A_LINE)]
    for text in (*heading, *recording.statements[:_STATEMENTS_SHOWN], *lines):
        sheet.write(text)
    for group in recording.groups:
        _lay_out_group(sheet, group, calibrated=calibrated)
    if recording.hidden_groups:
        sheet.write(f"{recording.hidden_groups} more multiplex groups are not drawn")
    sheet.height += _MARGIN
    return sheet


def _lay_out_group(sheet: Sheet, group: Group, *, calibrated: bool) -> None:
    seconds = min(group.duration_s, SECONDS_SHOWN)
    gains = [_gain(channel, calibrated=calibrated) for channel in group.channels]
    sheet.write(_caption(group, seconds, gains))
    box = Box(_MARGIN, sheet.height, _LEAD_IN + _up(seconds * SPEED_MM_S), 0.0)
    for channel, gain in zip(group.channels, gains, strict=True):
        _lay_out_channel(sheet, channel, gain, group.frequency_hz, same=len(set(gains)) == 1)
    sheet.height = box.top + _up(sheet.height - box.top)
    sheet.boxes.append(Box(box.left, box.top, box.width, sheet.height - box.top))
    if group.hidden_channels:
        sheet.write(f"{group.hidden_channels} more channels are not drawn")


def _lay_out_channel(sheet: Sheet, channel: Channel, gain: float, frequency_hz: float, *, same: bool) -> None:
    """One row; its zero line, or the middle of its range, is in the middle between its extremes."""
    heights = channel.values * gain
    low, high = _range(heights)
    row = min(_ROW_MOST, max(_ROW_LEAST, high - low + 4.0))
    zero = sheet.height + row / 2 + (low + high) / 2
    left = _MARGIN + _LEAD_IN + channel.delay_s * SPEED_MM_S
    sheet.traces.extend(_traces(heights, left, zero, SPEED_MM_S / frequency_hz, sheet.height, sheet.height + row))
    sheet.labels.append(Label(_MARGIN + 1.0, sheet.height + _TEXT + 0.5, channel.label[:_NAME_SHOWN]))
    if not same:
        sheet.labels.append(Label(_MARGIN + 1.0, sheet.height + row - 0.8, _gain_text(channel.unit, gain), _SMALL_TEXT))
    pulse = gain / _MILLIVOLTS[channel.unit] if channel.unit in _MILLIVOLTS else 0.0
    if 2.0 <= pulse <= row - 2.0:  # one millivolt
        foot, edge = sheet.height + row / 2 + pulse / 2, _MARGIN + 11.0
        steps = [(0.0, 0.0), (1.0, 0.0), (1.0, -pulse), (1.0 + _PULSE_MM, -pulse), (1.0 + _PULSE_MM, 0.0), (7.0, 0.0)]
        sheet.traces.append(np.array([(edge + x, foot + y) for x, y in steps]))
    sheet.height += row


def _gain(channel: Channel, *, calibrated: bool) -> float:
    """Millimetres per unit: 10 mm/mV where that is asked for and fits, else the nearest 1, 2 or 5 that does."""
    low, high = _range(channel.values)
    room = _ROW_MOST - 4.0
    if calibrated and channel.unit in _MILLIVOLTS:
        gain = GAIN_MM_MV * _MILLIVOLTS[channel.unit]
        if (high - low) * gain <= room:
            return gain
        return _step(room / (high - low))
    return _step((_ROW_LEAST + 5.0) / (high - low)) if high > low else 1.0


def _step(number: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `number`."""
    number = max(1e-12, min(1e12, number)) * (1 + 1e-9)
    power = 10.0 ** math.floor(math.log10(number))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= number)


def _range(values: Points) -> tuple[float, float]:
    """Lowest and highest value; zeros where there are none."""
    there = values[~np.isnan(values)]
    return (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)


def _traces(heights: Points, left: float, zero: float, step: float, top: float, bottom: float) -> Iterator[Points]:
    """The pen's ways, one per stretch without padding; kept within the row."""
    places, heights = _thinned(heights, step)
    gaps = np.flatnonzero(np.isnan(heights))
    for places_part, part in zip(np.split(places, gaps), np.split(heights, gaps), strict=True):
        drawn = ~np.isnan(part)
        if drawn.any():
            y = np.clip(zero - part[drawn], top, bottom)
            yield np.column_stack([left + places_part[drawn], y])


def _thinned(heights: Points, step: float) -> tuple[Points, Points]:
    """(x, height) of the points to draw: all, or lowest and highest of each run, so that no peak is lost."""
    run = int(1 / (step * _POINTS_PER_MM))  # samples
    if run < 4:
        return np.arange(len(heights), dtype=np.float64) * step, heights
    rows: Points = heights[: len(heights) // run * run].reshape(-1, run)
    blank = np.isnan(rows)
    lowest = np.argmin(np.where(blank, np.inf, rows), axis=1)
    highest = np.argmax(np.where(blank, -np.inf, rows), axis=1)
    kept = np.sort(np.column_stack([lowest, highest]), axis=1) + np.arange(len(rows))[:, None] * run
    places: Points = (kept.ravel() * step).astype(np.float64)
    return places, rows.ravel()[kept.ravel()]


def _caption(group: Group, seconds: float, gains: Sequence[float]) -> str:
    unit = group.channels[0].unit
    parts = [group.label, f"{SPEED_MM_S:g} mm/s"]
    if len(set(gains)) == 1:
        parts.append(_gain_text(unit, gains[0]))
    parts.append(f"{group.frequency_hz:g} Hz")
    if seconds < group.duration_s:
        parts.append(f"the first {seconds:g} s of {group.duration_s:g} s")
    return ", ".join(filter(None, parts))


def _gain_text(unit: str, gain: float) -> str:
    """`10 mm/mV`, for every unit of voltage; `0.2 mm/mm[Hg]` for others."""
    if unit in _MILLIVOLTS:
        return f"{gain / _MILLIVOLTS[unit]:.4g} mm/mV"
    return f"{gain:.4g} mm/{unit or 'step'}"


def _up(length: float) -> float:
    """Up to the next whole square of 5 mm."""
    return math.ceil(length / 5.0 - 1e-9) * 5.0
