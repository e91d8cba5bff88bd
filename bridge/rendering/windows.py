"""VOI windows: the three functions of PS3.3 §C.11.2.1.2 and §C.11.2.1.3, from values to 0..255."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LINEAR, LINEAR_EXACT, SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"
FUNCTIONS = (LINEAR, LINEAR_EXACT, SIGMOID)
BRIGHTEST = 255.0

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Center, width and function. A width below 1 has no meaning to LINEAR: it is then read as LINEAR_EXACT."""

    center: float
    width: float
    function: str = LINEAR

    def apply(self, values: Values) -> Values:
        """Grey levels from 0 to 255, not rounded."""
        if self.function == SIGMOID:
            with np.errstate(over="ignore"):  # far below the window: e to a great power, so black
                levels: Values = BRIGHTEST / (1.0 + np.exp(-4.0 * (values - self.center) / self.width))
            return levels
        if self.function == LINEAR and self.width >= 1.0:
            return _ramp(values, self.center - 0.5, self.width - 1.0)
        return _ramp(values, self.center, self.width)


def spanning(low: float, high: float) -> Window:
    """The window that shows `low` black and `high` white."""
    return Window((low + high) / 2, high - low, LINEAR_EXACT)


def _ramp(values: Values, center: float, width: float) -> Values:
    """Black up to center - width / 2, white beyond center + width / 2; a width of 0 is a threshold."""
    if width == 0.0:
        return np.where(values > center, BRIGHTEST, 0.0)
    levels: Values = ((values - center) / width + 0.5) * BRIGHTEST
    return levels.clip(0.0, BRIGHTEST)
