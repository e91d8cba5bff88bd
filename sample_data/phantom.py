"""A head drawn from ellipsoids: CT numbers in Hounsfield units, tissue numbers for MR. Pure numpy, seeded noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# centre x, y, z, half axes in halves of the field of view; Hounsfield units; MR brightness; later rows paint over
ELLIPSOIDS: tuple[tuple[float, float, float, float, float, float, int, int], ...] = (
    (0.00, 0.00, 0.00, 0.72, 0.90, 0.95, 40, 420),  # scalp
    (0.00, 0.00, 0.00, 0.68, 0.86, 0.91, 1100, 60),  # skull
    (0.00, 0.00, 0.00, 0.62, 0.80, 0.86, 36, 520),  # grey matter
    (0.00, -0.02, 0.02, 0.52, 0.68, 0.74, 28, 640),  # white matter
    (-0.13, 0.05, 0.10, 0.08, 0.30, 0.26, 6, 150),  # ventricles
    (0.13, 0.05, 0.10, 0.08, 0.30, 0.26, 6, 150),
    (0.00, -0.48, -0.35, 0.30, 0.20, 0.22, 38, 560),  # cerebellum
    (-0.30, -0.25, 0.20, 0.09, 0.11, 0.12, 68, 880),  # a bleeding, to have something to find
    (0.24, 0.74, -0.30, 0.13, 0.14, 0.14, 12, 240),  # eyes
    (-0.24, 0.74, -0.30, 0.13, 0.14, 0.14, 12, 240),
    (0.00, 0.70, -0.55, 0.16, 0.14, 0.24, -950, 10),  # nose and sinus: air
)
BLEEDING = ELLIPSOIDS[7]
AIR_HU = -1000


def _inside(ellipsoid: tuple[float, ...], number: int, count: int, size: int) -> NDArray[np.bool_]:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y, z = axis[None, :], -axis[:, None], np.float32(-0.75 + 1.5 * number / max(1, count - 1))
    cx, cy, cz, ax, ay, az = ellipsoid[:6]
    inside: NDArray[np.bool_] = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 <= 1
    return inside


def _painted(number: int, count: int, size: int, column: int, background: int) -> NDArray[np.float32]:
    image = np.full((size, size), background, np.float32)
    for ellipsoid in ELLIPSOIDS:
        image[_inside(ellipsoid, number, count, size)] = ellipsoid[column]
    return image


def bleeding(number: int, count: int, size: int) -> NDArray[np.bool_]:
    """Where slice `number` of `count` shows the bleeding, (size, size)."""
    return _inside(BLEEDING, number, count, size)


def hounsfield(number: int, count: int, size: int) -> NDArray[np.int16]:
    """Slice `number` of `count` from the base upwards, (size, size), Hounsfield units."""
    noise = np.random.default_rng(number).normal(0, 8, (size, size))
    return np.clip(_painted(number, count, size, 6, AIR_HU) + noise, -1024, 3071).astype(np.int16)


def magnetic(number: int, count: int, size: int) -> NDArray[np.uint16]:
    """The same slice as MR would show it: 12 bits, arbitrary units."""
    noise = np.random.default_rng(number).normal(0, 12, (size, size))
    return np.clip(_painted(number, count, size, 7, 8) + noise, 0, 4095).astype(np.uint16)


def chest(size: int) -> NDArray[np.uint16]:
    """A chest radiograph of sorts, 12 bits, bright where X-rays pass (MONOCHROME1 shows that dark)."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    image = 3200 - 1700 * np.exp(-((x / 0.75) ** 4) - (y / 1.1) ** 6)
    for side in (-1, 1):
        image += 1100 * np.exp(-((((x - side * 0.37) / 0.27) ** 2 + (y / 0.62) ** 2) ** 3))
    image -= 500 * np.exp(-((((x + 0.12) / 0.28) ** 2 + ((y - 0.25) / 0.3) ** 2) ** 2))
    image -= 500 * np.exp(-((x / 0.08) ** 4))
    image -= 160 * (np.sin(18 * (y + 0.35 * x * x)) > 0.55) * (np.abs(x) < 0.72) * (np.abs(y) < 0.7)
    return np.clip(image + np.random.default_rng(7).normal(0, 15, (size, size)), 0, 4095).astype(np.uint16)


def ultrasound(frames: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """A beating ring in a fan of speckle with a patch of Doppler colour: (frames, rows, columns, 3), RGB."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x = (x - columns / 2) / rows
    y = y / rows
    fan = (np.abs(np.arctan2(x, y + 0.02)) < 0.7) & (np.hypot(x, y) < 0.95)
    speckle = np.random.default_rng(11).gamma(2.0, 22.0, (rows, columns))
    made = np.zeros((frames, rows, columns, 3), np.uint8)
    for number in range(frames):
        radius = 0.20 + 0.04 * np.sin(2 * np.pi * number / frames)
        ring = np.exp(-(((np.hypot(x, y - 0.5) - radius) / 0.03) ** 2))
        inside = np.hypot(x, y - 0.5) < radius
        grey = np.clip(speckle * np.where(inside, 0.15, 1.0) + 190 * ring, 0, 255) * fan
        made[number] = grey[..., None].astype(np.uint8)
        jet = inside & (np.hypot(x + 0.04, y - 0.45) < 0.10)
        made[number][jet] = (220, 60, 20) if number < frames / 2 else (20, 80, 220)
    return made
