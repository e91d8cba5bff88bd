"""Runs of elements that come again: most of a header is the same, byte for byte, in all instances of a series.

A run that was seen twice is remembered with its JSON, so that the scanner takes it in one comparison. Only elements
whose JSON depends on nothing but their own bytes are in a run, see `Syntax.remember`.
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.header_syntax import Syntax

PATIENCE = 4  # elements at which a run may begin again, after one of another value
_KEY_BYTES = 8  # tag, VR, and the length or what stands before it
_SHORTEST = 4  # elements
_ALTERNATIVES = 4  # runs that begin alike: series that come in turn
_LIMIT = 128  # beginnings
_LONGEST_BYTES = 8192  # with the limits above: 4 MiB of elements, whatever strangers send


class Run(NamedTuple):
    """Elements in ascending order, and what scanning them gives."""

    content: bytes  # their bytes, headers included
    pieces: list[bytes]  # their JSON
    raws: dict[int, bytes]  # values of those that are watched
    first: int  # tag
    last: int


class Runs:
    """The runs at the root of data sets, for scanners of one syntax that watch the same tags. Shared by threads."""

    def __init__(self, syntax: Syntax) -> None:
        self._tag_of = syntax.tag_of
        self._known: dict[bytes, list[Run]] = {}
        self._seen_once: dict[bytes, bytes] = {}

    def at(self, window: bytes, position: int) -> Run | None:
        """The run that stands at `position`, if one does."""
        for run in self._known.get(window[position : position + _KEY_BYTES], ()):
            if window.startswith(run.content, position):
                return run
        return None

    def note(self, content: bytes, pieces: list[bytes], raws: dict[int, bytes], last: int) -> None:
        """Elements that were all known by their values; `raws` are the watched values of the level so far."""
        if len(pieces) < _SHORTEST or len(content) > _LONGEST_BYTES:
            return
        key = content[:_KEY_BYTES]
        if self._seen_once.get(key) != content:
            if len(self._seen_once) >= _LIMIT:
                self._seen_once.clear()
            self._seen_once[key] = content
            return
        first = self._tag_of(content)
        inside = {tag: value for tag, value in raws.items() if first <= tag <= last}
        if key not in self._known and len(self._known) >= _LIMIT:
            self._known.clear()
        run = Run(content, pieces, inside, first, last)
        self._known[key] = [run, *self._known.get(key, [])[: _ALTERNATIVES - 1]]
