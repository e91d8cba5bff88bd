"""Sequences and their items: opened, read one by one, closed (PS3.5 §7.5)."""

from __future__ import annotations

from collections.abc import Mapping

from bridge import dicomjson, walk
from bridge.dictionary import KNOWN
from bridge.errors import InvalidInstance
from bridge.header_syntax import EXPLICIT_LITTLE, IMPLICIT_LITTLE, ITEM, SEQUENCE_END, UNDEFINED, Entry, Syntax
from bridge.scan.levels import CONTEXT, Level, Sequence
from bridge.scan.values import Values
from bridge.scan.warnings import DEPTH_WARNING
from bridge.scan.window import Window

WATCHED_ITEMS = 16  # of a sequence with indexed attributes


class Items:
    """Goes down into sequences and up again. `nested` are the first items of those in `nested_watch`, by tag.

    Every method returns the level to read next and leaves the window where that goes on. Raises InvalidInstance.
    """

    def __init__(
        self, window: Window, values: Values, nested_watch: Mapping[int, frozenset[int]], depth_limit: int
    ) -> None:
        self.nested: dict[int, list[Level]] = {}
        self._window, self._values = window, values
        self._nested_watch = {tag: inner | CONTEXT for tag, inner in nested_watch.items()}
        self._depth, self._depth_limit = 0, depth_limit

    def open(self, level: Level, entry: Entry, syntax: Syntax, start: int, end: int, *, undefined: bool) -> Level:
        """The first item of a sequence whose items start at `start`; `level` when there is none, or it is too deep."""
        tag, window = entry.tag, self._window
        if self._depth >= self._depth_limit:
            self._values.warnings[DEPTH_WARNING] = None
            self._values.write(level, tag, dicomjson.key_prefix(tag, "SQ") + dicomjson.NO_VALUE)
            window.position = walk.end_of_items(window.source, syntax, tag, start, end) if undefined else end
            window.refill()
            return level
        self._depth += 1
        window.position = start
        guessing = undefined and syntax is not level.syntax
        prefix = entry.prefix if entry.vr == "SQ" else dicomjson.key_prefix(tag, "SQ")
        return self._next(Sequence(level, tag, prefix, syntax, end, undefined, guessing))

    def close(self, level: Level) -> Level:
        """End an item; the next one, or the data set around the sequence."""
        sequence = level.sequence
        if sequence is None:
            raise InvalidInstance("an item ends outside of a sequence")
        values = self._values
        text = values.close(level)
        if not values.is_cut:
            sequence.items.append(text)
        return self._next(sequence)

    def _next(self, sequence: Sequence) -> Level:
        """The next item as a level, or the parent when the sequence is over."""
        window = self._window
        position = window.position
        if position >= sequence.end and not sequence.undefined:
            return self._close_sequence(sequence)
        header = window.peek()
        if position + 8 > sequence.end or len(header) < 8:
            raise walk.truncated(sequence.tag)
        syntax = sequence.syntax
        tag, length = syntax.delimiters.get(header[:4]), syntax.unpack_length(header, 4)[0]
        window.position = position + 8
        if tag == SEQUENCE_END:
            return self._close_sequence(sequence)
        undefined = length == UNDEFINED
        end = sequence.end if undefined else position + 8 + length
        if tag != ITEM or end > sequence.end:
            raise InvalidInstance("an item of a sequence cannot be read", offending_tag=sequence.tag)
        sequence.number += 1
        parent = sequence.parent
        watch = self._nested_watch.get(sequence.tag, CONTEXT) if parent.sequence is None else CONTEXT
        if sequence.guessing and self._looks_explicit(position + 8, end):
            syntax = EXPLICIT_LITTLE
        level = Level(syntax, end, undefined, parent.text, watch, {}, sequence)
        if watch is not CONTEXT and sequence.number <= WATCHED_ITEMS:
            self.nested.setdefault(sequence.tag, []).append(level)
        window.refill()
        return level

    def _looks_explicit(self, position: int, end: int) -> bool:
        header = self._window.source.read(position, 8)
        implicit_length = IMPLICIT_LITTLE.unpack_length(header, 4)[0] if len(header) == 8 else 0
        too_long = implicit_length != UNDEFINED and position + 8 + implicit_length > end
        return too_long and header[4:6].decode("latin-1") in KNOWN

    def _close_sequence(self, sequence: Sequence) -> Level:
        self._depth -= 1
        parent = sequence.parent
        self._values.measure(parent)
        value = b',"Value":[' + b",".join(sequence.items) + b"]}" if sequence.items else dicomjson.NO_VALUE
        self._values.write(parent, sequence.tag, sequence.prefix + value)
        parent.measured = len(parent.out)  # its items were counted one by one
        self._window.refill()
        return parent
