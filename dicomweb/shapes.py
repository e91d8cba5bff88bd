"""Finds what a path means by its shape, in one look-up instead of one regular expression a route. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")
_Shape = tuple[str, ...]


class Shapes(Generic[_T]):
    """Templates such as `/studies/{study}/series`, each with its value. Parameters stand at every second place.

    Others are left to the framework.
    """

    def __init__(self, root: str, templates: Iterable[tuple[str, _T]]) -> None:
        """`root` begins with a slash or is empty."""
        self._skip = len(root) + 1
        self._root = f"{root}/"
        self._known: dict[_Shape, tuple[_T, list[str]]] = {}
        for template, value in templates:
            segments = template.strip("/").split("/")
            if ":path" not in template and all(segment.startswith("{") for segment in segments[1::2]):
                names = [segment[1:-1] for segment in segments[1::2]]
                self._known[(*segments[::2], str(len(segments)))] = (value, names)

    def find(self, path: str) -> tuple[_T, dict[str, str]] | None:
        """The value of the template that the path fits, and the parameters' values; None for any other path."""
        if not path.startswith(self._root):
            return None
        segments = path[self._skip :].split("/")
        found = self._known.get((*segments[::2], str(len(segments))))
        if found is None or "" in segments:
            return None
        return found[0], dict(zip(found[1], segments[1::2], strict=True))
