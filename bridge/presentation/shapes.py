"""Graphic objects as points to draw through (PS3.3 §C.10.5.1.2). Pure.

Circles, ellipses and curves become closely spaced points, so that they survive any rotation and pixel shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bridge.presentation.values import Point

_ROUND = 96  # points of a circle
_BETWEEN = 12  # points of a curve from one given point to the next


def outline(graphic_type: str, points: Sequence[Point]) -> tuple[Point, ...]:
    """The points of a graphic object in drawing order; empty for an unknown type or too few points."""
    shape = _SHAPES.get(graphic_type)
    return tuple(shape(points)) if shape is not None and points else ()


def _as_given(points: Sequence[Point]) -> Sequence[Point]:
    return points


def _interpolated(points: Sequence[Point]) -> Sequence[Point]:
    """A curve through all points (Catmull-Rom), closed when the first is the last."""
    if len(points) < 3:
        return points
    closed = points[0] == points[-1]
    before = points[-2] if closed else points[0]
    after = points[1] if closed else points[-1]
    knots = [before, *points, after]
    curve = [points[0]]
    for number in range(1, len(points)):
        curve += [_spline(knots[number - 1 : number + 3], step / _BETWEEN) for step in range(1, _BETWEEN + 1)]
    return curve


def _spline(knots: Sequence[Point], t: float) -> Point:
    """The place between the second and third of four knots."""
    weights = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (-(t**2) + t**3) / 2,
    )
    x, y = (sum(weight * knot[axis] for weight, knot in zip(weights, knots, strict=True)) for axis in (0, 1))
    return (x, y)


def _circle(points: Sequence[Point]) -> Sequence[Point]:
    """Centre and a point on the circumference."""
    if len(points) != 2:
        return ()
    (x, y), edge = points
    radius = math.dist(points[0], edge)
    return _around((x, y), (radius, 0.0), (0.0, radius))


def _ellipse(points: Sequence[Point]) -> Sequence[Point]:
    """The ends of the major axis, then those of the minor one."""
    if len(points) != 4:
        return ()
    first, second, third, fourth = points
    centre = ((first[0] + second[0]) / 2, (first[1] + second[1]) / 2)
    major = ((second[0] - first[0]) / 2, (second[1] - first[1]) / 2)
    minor = ((fourth[0] - third[0]) / 2, (fourth[1] - third[1]) / 2)
    return _around(centre, major, minor)


def _around(centre: Point, one: Point, other: Point) -> Sequence[Point]:
    angles = [2 * math.pi * step / _ROUND for step in range(_ROUND + 1)]
    return [
        (
            centre[0] + math.cos(angle) * one[0] + math.sin(angle) * other[0],
            centre[1] + math.cos(angle) * one[1] + math.sin(angle) * other[1],
        )
        for angle in angles
    ]


_SHAPES: dict[str, Callable[[Sequence[Point]], Sequence[Point]]] = {
    "POINT": _as_given,
    "POLYLINE": _as_given,
    "INTERPOLATED": _interpolated,
    "CIRCLE": _circle,
    "ELLIPSE": _ellipse,
}
