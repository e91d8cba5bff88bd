"""The loop over the elements of a data set: what each is, and who writes it."""

from __future__ import annotations

from bridge import walk
from bridge.charset import TextDecoder
from bridge.dictionary import PIXEL_TAGS, vr_of
from bridge.errors import InvalidInstance
from bridge.header_syntax import IMPLICIT_LITTLE, ITEM_END, SEQUENCE_END, UNDEFINED, Entry, Syntax
from bridge.runs import Runs
from bridge.scan.elements import plain_elements
from bridge.scan.headers import read_header
from bridge.scan.items import Items
from bridge.scan.levels import CONTEXT, Level, PixelValue
from bridge.scan.values import EXTENDED_OFFSETS, Values
from bridge.scan.warnings import STRAY_WARNING, TRAILING_WARNING
from bridge.scan.window import QUICK_BYTES, Window
from bridge.source import Source

_ROOT_CONTEXT = CONTEXT | EXTENDED_OFFSETS


class Scanner:
    """The state of one pass. After `run`: `json`, `root`, `nested`, `pixel`, `bulk`, `warnings`."""

    def __init__(
        self,
        source: Source,
        syntax: Syntax,
        *,
        watch: frozenset[int],
        nested_watch: dict[int, frozenset[int]],
        fallback_charset: str = "",
        inline_binary_bytes: int = 4096,
        depth_limit: int = 64,
        metadata_limit_bytes: int = 32 << 20,
        runs: Runs | None = None,
    ) -> None:
        text = TextDecoder((), fallback_charset)
        self.root = Level(syntax, source.size, False, text, watch | _ROOT_CONTEXT, {})
        self.json = b""
        self.pixel: PixelValue | None = None
        self._window = Window(source)
        self._values = Values(source, fallback_charset, inline_binary_bytes, metadata_limit_bytes)
        self._items = Items(self._window, self._values, nested_watch, depth_limit)
        self.nested = self._items.nested  # sequence tag -> its first items, for tags of nested_watch
        self.bulk, self.warnings = self._values.bulk, self._values.warnings
        self._quick_bytes = min(QUICK_BYTES, inline_binary_bytes)
        self._runs = runs  # of this syntax, these watched tags and these limits

    def run(self) -> None:
        """Scan to the end. Raises InvalidInstance, with the tag at which the structure cannot be read."""
        window, values, root, limit = self._window, self._values, self.root, self._quick_bytes
        level: Level | None = root
        while level is not None:
            runs = self._runs if level is root and level.ordered and not values.is_cut else None
            plain_elements(window, level, limit, runs, is_cut=values.is_cut)
            level = self._other_element(level)
        self.pixel = values.pixel

    def _other_element(self, level: Level) -> Level | None:
        """What plain_elements leaves: ends, structure, long values, the edge of the window. None after the root."""
        window = self._window
        position = window.position
        if position >= level.end:
            return self._end_of_level(level)
        header = window.peek()
        if level.end - position < 8 or len(header) < 8:
            return self._tail(level, None)
        if header[:8] == bytes(8) and level is self.root:
            return self._tail(level, 0)
        entry, length, start = read_header(window, level, header)
        tag, group = entry.tag, entry.tag >> 16
        if group == 0xFFFE:
            return self._delimiter(level, tag, length)
        vr = level.vr(entry)
        if length == UNDEFINED:
            return self._undefined(level, entry, vr, start)
        after = start + length
        if after > level.end:
            return self._tail(level, tag)
        if vr == "SQ" and group > 2:
            return self._items.open(level, entry, level.syntax, start, after, undefined=False)
        if vr == "UN" and length and vr_of(tag) == "SQ" and walk.holds_items(window.source, start, after):
            return self._items.open(level, entry, IMPLICIT_LITTLE, start, after, undefined=False)
        window.position = after
        if group not in (0, 2) and tag & 0xFFFF:  # groups 0000 and 0002 and group lengths stay out (§F.2.2)
            self._values.plain(level, tag, vr, start, length)
        window.refill()
        return level

    def _undefined(self, level: Level, entry: Entry, vr: str, start: int) -> Level:
        """An element of undefined length: a sequence, or encapsulated pixel data (PS3.5 §7.5, §A.4)."""
        if vr in ("SQ", "UN") or (not level.syntax.explicit and entry.tag not in PIXEL_TAGS):
            syntax = IMPLICIT_LITTLE if vr == "UN" else level.syntax
            return self._items.open(level, entry, syntax, start, level.end, undefined=True)
        self._window.position = self._values.encapsulated(level, entry.tag, vr, start)
        self._window.refill()
        return level

    def _delimiter(self, level: Level, tag: int, length: int) -> Level | None:
        """An item or sequence delimiter where an element was expected."""
        if tag == ITEM_END and level.undefined and length == 0:
            self._window.position += 8
            return self._items.close(level)
        if tag not in (ITEM_END, SEQUENCE_END) or length or level.undefined:
            raise InvalidInstance("a delimiter stands where an element should", offending_tag=tag)
        self.warnings[STRAY_WARNING] = None
        self._window.position += 8
        self._window.refill()
        return level

    def _end_of_level(self, level: Level) -> Level | None:
        if level.sequence is None:
            self.json = self._values.close(level)
            return None
        if level.undefined:
            raise walk.truncated(level.sequence.tag)
        return self._items.close(level)

    def _tail(self, level: Level, tag: int | None) -> Level | None:
        """The last bytes are no element: zeros are padding, anything else was cut off."""
        window = self._window
        if level is not self.root or not walk.only_zeros(window.source, window.position, level.end):
            raise walk.truncated(tag)
        self.warnings[TRAILING_WARNING] = None
        window.position = level.end
        return level
