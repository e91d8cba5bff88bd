"""How long each frame of a multi-frame image is shown (PS3.3 §C.7.6.5)."""

from __future__ import annotations

from bridge.attributes import Attributes

TIMING = ("FrameTime", "FrameTimeVector", "RecommendedDisplayFrameRate", "CineRate")
_DEFAULT_MS = 100.0
_SHORTEST_MS, _LONGEST_MS = 20, 10_000  # browsers slow down what is shorter


def durations_ms(about: Attributes, frames: int) -> list[int]:
    """One duration a frame, in milliseconds."""
    vector = about.numbers("FrameTimeVector")
    is_usable = len(vector) == frames and frames > 1  # its first entry is the start (PS3.3 §C.7.6.5.1.2)
    times = [*vector[1:], vector[-1]] if is_usable else [_frame_time(about)] * frames
    return [int(min(_LONGEST_MS, max(_SHORTEST_MS, time))) for time in times]


def _frame_time(about: Attributes) -> float:
    if (time := about.number("FrameTime")) > 0:
        return time
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        if (rate := about.number(keyword)) > 0:
            return 1000.0 / rate
    return _DEFAULT_MS
