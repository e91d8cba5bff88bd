"""One pass over a data set: DICOM JSON out, pixel data and bulk values located (PS3.5 §7, Annex A; PS3.18 Annex F).

`Scanner.run` reads the header through a window of bytes and skips long values by their length. Nesting is kept on a
list, not on the interpreter's stack. Lenient where the meaning is plain (odd lengths, unknown VRs, stray delimiters,
zeros after the end); InvalidInstance where a length leads outside its container or the data set ends too early.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge import dicomjson, walk
from bridge.charset import TextDecoder
from bridge.dictionary import BINARY, KNOWN, NUMERIC, PIXEL_TAGS, WORD_BYTES, vr_of
from bridge.errors import InvalidInstance
from bridge.frames import BulkElement, Span
from bridge.header_syntax import (
    CHARSET_TAG,
    ENCAPSULATED_DOCUMENT_TAG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    REMEMBERED_BYTES,
    SEQUENCE_END,
    UNDEFINED,
    Entry,
    Syntax,
)
from bridge.runs import PATIENCE, Runs
from bridge.source import Source

WINDOW_BYTES = 1 << 16
LONG_TEXT_BYTES = 1 << 20  # text and decimal values beyond this are given by reference
QUICK_BYTES = 1024  # longer values leave the inner loop
WATCHED_BYTES = 4096  # longer values of indexed attributes are garbage and stay out of the index
WATCHED_ITEMS = 16  # of a sequence with indexed attributes
OFFSETS_BYTES = 4 << 20  # of an extended offset table; frames of a longer one are found without it

_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00280103, 0x00283002
_CONTEXT = frozenset({_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR})
_EXTENDED_OFFSETS = frozenset({0x7FE00001, 0x7FE00002})  # and their lengths
_ROOT_CONTEXT = _CONTEXT | _EXTENDED_OFFSETS

DEPTH_WARNING = "depth limit reached"
LIMIT_WARNING = "metadata limit reached"
TRAILING_WARNING = "trailing bytes"
STRAY_WARNING = "stray delimiter"
GUESS_WARNING = "character set guessed"


@dataclass(slots=True)
class Level:
    """A data set being written: the root, or an item of `sequence`."""

    syntax: Syntax
    end: int  # first offset beyond it; of its container while its length is undefined
    undefined: bool
    text: TextDecoder
    watch: frozenset[int]  # tags whose raw values are kept
    raws: dict[int, bytes]
    sequence: Sequence | None = None
    out: list[bytes] = field(default_factory=list)  # one piece of JSON per element
    measured: int = 0  # pieces already counted against the metadata limit
    last: int = -1
    ordered: bool = True

    def path(self, tag: int) -> str:
        """Where an element of this level lies, such as 00400275/1/00420011. Only while the level is being read."""
        steps = [f"{tag:08X}"]
        sequence = self.sequence
        while sequence is not None:
            steps += [str(sequence.number), f"{sequence.tag:08X}"]
            sequence = sequence.parent.sequence
        return "/".join(reversed(steps))


@dataclass(slots=True)
class Sequence:
    """A sequence whose items are being written."""

    parent: Level
    tag: int
    prefix: bytes  # of its JSON
    syntax: Syntax
    end: int
    undefined: bool
    guessing: bool  # from UN: the items should be implicit VR, some writers leave them explicit
    items: list[bytes] = field(default_factory=list)
    number: int = 0


@dataclass(frozen=True, slots=True)
class PixelValue:
    """Top-level pixel data as found."""

    tag: int
    vr: str
    offset: int
    length: int
    fragments: tuple[Span, ...] | None  # None when native; the first is the basic offset table


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
        self.nested: dict[int, list[Level]] = {}  # sequence tag -> its first items, for tags of nested_watch
        self.pixel: PixelValue | None = None
        self.bulk: list[BulkElement] = []
        self.warnings: dict[str, None] = {}  # an ordered set
        self.json = b""
        self._source, self._fallback = source, fallback_charset
        self._nested_watch = {tag: inner | _CONTEXT for tag, inner in nested_watch.items()}
        self._inline_bytes, self._depth_limit, self._limit = inline_binary_bytes, depth_limit, metadata_limit_bytes
        self._quick_bytes = min(QUICK_BYTES, inline_binary_bytes)
        self._runs = runs  # of this syntax, these watched tags and these limits
        self._position = 0
        self._window, self._base = source.read(0, WINDOW_BYTES), 0
        self._depth = 0
        self._written = 0
        self._cut = False  # the metadata limit is reached: go on without writing

    def run(self) -> None:
        """Scan to the end. Raises InvalidInstance, with the tag at which the structure cannot be read."""
        level: Level | None = self.root
        while level is not None:
            self._plain_elements(level)
            level = self._other_element(level)

    def _plain_elements(self, level: Level) -> None:
        """Write elements as long as tag, VR and a short value inside the window are all it takes."""
        window, entries = self._window, level.syntax.entries
        learn, remember = level.syntax.learn, level.syntax.remember
        unpack_header, unpack_length = level.syntax.unpack_header, level.syntax.unpack_length
        text, watch, raws, last, limit = level.text, level.watch, level.raws, level.last, self._quick_bytes
        out = level.out
        append = _drop if self._cut else out.append
        runs = self._runs if level is self.root and level.ordered and not self._cut else None
        patience = PATIENCE if runs else 0
        end = min(level.end - self._base, len(window))
        stop = min(end - 8, len(window) - 12)
        at = self._position - self._base
        streak, streak_out = at, len(out)  # where elements that are known by their values began
        long_start = 12 if level.syntax.explicit else 8
        while at <= stop:
            if patience and runs:
                run = runs.at(window, at)
                if run is not None and run.first > last and at + len(run.content) <= end:
                    out += run.pieces
                    raws.update(run.raws)
                    at, last, patience = at + len(run.content), run.last, PATIENCE
                    streak, streak_out = at, len(out)
                    continue
                patience -= 1
            head, length = unpack_header(window, at)
            entry = entries.get(head) or learn(head)
            tag, long, prefix, empty, write, _, seen = entry
            if write is None:
                break
            start = at + 8
            if long:
                length = unpack_length(window, start)[0]
                start = at + long_start
            after = start + length
            if after > end or length > limit:
                break
            if length:
                value = window[start:after]
                piece = seen.get(value)
                if piece is None:
                    written = write(value, text)
                    if written is None:
                        break
                    piece = prefix + written
                    if length <= REMEMBERED_BYTES:
                        remember(entry, value, piece)
                    if runs:
                        runs.note(window[streak:at], out[streak_out:], raws, last)
                        streak, streak_out, patience = after, len(out) + 1, PATIENCE
                append(piece)
                if tag in watch:
                    raws[tag] = value
            else:
                append(empty)
                if tag in watch:
                    raws.pop(tag, None)
            if tag <= last:
                level.ordered, runs = False, None
            last = tag
            at = after
        if runs:
            runs.note(window[streak:at], out[streak_out:], raws, last)
        level.last = last
        self._position = self._base + at

    def _other_element(self, level: Level) -> Level | None:
        """What _plain_elements leaves: ends, structure, long values, the edge of the window. None after the root."""
        position = self._position
        if position >= level.end:
            return self._end_of_level(level)
        header = self._peek(position)
        if level.end - position < 8 or len(header) < 8:
            return self._tail(level, None)
        if header[:8] == bytes(8) and level is self.root:
            return self._tail(level, 0)
        entry, length, start = self._header(level, header)
        group = entry.tag >> 16
        if group == 0xFFFE:
            return self._delimiter(level, entry.tag, length)
        vr = self._resolve(level, entry)
        if length == UNDEFINED:
            return self._undefined(level, entry, vr, start)
        after = start + length
        if after > level.end:
            return self._tail(level, entry.tag)
        if vr == "SQ" and group > 2:
            return self._open_sequence(level, entry, level.syntax, start, after, undefined=False)
        if vr == "UN" and length and vr_of(entry.tag) == "SQ" and walk.holds_items(self._source, start, after):
            return self._open_sequence(level, entry, IMPLICIT_LITTLE, start, after, undefined=False)
        self._position = after
        if group not in (0, 2) and entry.tag & 0xFFFF:  # groups 0000 and 0002 and group lengths stay out (§F.2.2)
            self._value(level, entry, vr, start, length)
        self._refill()
        return level

    def _header(self, level: Level, header: bytes) -> tuple[Entry, int, int]:
        """(entry, length, offset of the value) of the element at the current position."""
        syntax = level.syntax
        head, length = syntax.unpack_header(header, 0)
        entry = syntax.entries.get(head) or syntax.learn(head)
        if not syntax.explicit or entry.tag >> 16 == 0xFFFE:
            return entry, syntax.unpack_length(header, 4)[0], self._position + 8
        if entry.long or (entry.vr not in KNOWN and self._unknown_is_long(level, entry.tag, header)):
            if len(header) < 12:
                raise walk.truncated(entry.tag)
            return entry, syntax.unpack_length(header, 8)[0], self._position + 12
        return entry, length, self._position + 8

    def _unknown_is_long(self, level: Level, tag: int, header: bytes) -> bool:
        """Does an unknown VR have the long header, as new VRs shall (PS3.5 §6.2)? Judged by what would follow."""
        syntax = level.syntax
        if len(header) == 12 and header[6:8] == b"\0\0":
            length = syntax.unpack_length(header, 8)[0]
            if length == UNDEFINED or self._plausible(level, self._position + 12 + length):
                return True
        if self._plausible(level, self._position + 8 + syntax.unpack_header(header, 0)[1]):
            return False
        raise InvalidInstance("the structure of the data set cannot be read", offending_tag=tag)

    def _plausible(self, level: Level, position: int) -> bool:
        """Could an element header stand at `position`?"""
        if position >= level.end:
            return position == level.end
        following = self._source.read(position, 6)
        head = following[:2]
        delimiter = head == (b"\xff\xfe" if level.syntax.big_endian else b"\xfe\xff")
        return delimiter or (len(following) == 6 and following[4:6].isalpha() and following[4:6].isupper())

    def _resolve(self, level: Level, entry: Entry) -> str:
        """The VR of an element, where PS3.6 leaves a choice by context (PS3.5 §A.1)."""
        vr = entry.vr
        if vr in KNOWN:
            return vr
        if level.syntax.explicit:
            return "UN"
        if vr == "US or SS":
            return "SS" if self._context(level, _PIXEL_REPRESENTATION)[:1] == b"\1" else "US"
        if vr == "US or OW":  # LUT Data: one entry is a number, a table is words
            return "US" if self._context(level, _LUT_DESCRIPTOR)[:2] == b"\1\0" else "OW"
        return "OW" if "OW" in vr else "UN"

    def _context(self, level: Level, tag: int) -> bytes:
        """Raw value of `tag` in the enclosing data sets, innermost first; empty when none has it."""
        while tag not in level.raws and level.sequence is not None:
            level = level.sequence.parent
        return level.raws.get(tag, b"")

    # Values

    def _value(self, level: Level, entry: Entry, vr: str, start: int, length: int) -> None:
        """Write one element with a defined length that is no sequence."""
        tag = entry.tag
        prefix = dicomjson.key_prefix(tag, vr)
        if tag in PIXEL_TAGS and level is self.root and length:
            self.pixel = PixelValue(tag, vr, start, length, None)
            self._write(level, tag, prefix + dicomjson.bulk_reference(f"{tag:08X}"))
            return
        if tag == CHARSET_TAG:
            self._charset(level, prefix, self._source.read(start, min(length, WATCHED_BYTES)))
            return
        inline = self._inline_bytes if vr in BINARY or vr in NUMERIC else LONG_TEXT_BYTES
        value = b""
        watched = tag in level.watch and length <= (OFFSETS_BYTES if tag in _EXTENDED_OFFSETS else WATCHED_BYTES)
        if length <= inline or watched:
            value = self._source.read(start, length)
            if len(value) != length:
                raise walk.truncated(tag)
        if watched:
            level.raws[tag] = value
        else:
            level.raws.pop(tag, None)
        written: bytes | None = dicomjson.NO_VALUE if not length else None
        if 0 < length <= inline and tag != ENCAPSULATED_DOCUMENT_TAG:
            written = level.syntax.writers[vr](value, level.text)
        if written is None:
            written = self._reference(level, tag, vr, start, length, encapsulated=False)
        self._write(level, tag, prefix + written)

    def _reference(self, level: Level, tag: int, vr: str, start: int, length: int, *, encapsulated: bool) -> bytes:
        path = level.path(tag)
        big_endian = level.syntax.big_endian and vr in WORD_BYTES
        if not self._cut:
            self.bulk.append(
                BulkElement(
                    path=path, vr=vr, offset=start, length=length, big_endian=big_endian, encapsulated=encapsulated
                )
            )
        return dicomjson.bulk_reference(path)

    def _charset(self, level: Level, prefix: bytes, value: bytes) -> None:
        terms = value.decode("latin-1").strip(" \0")
        if CHARSET_TAG in level.watch:
            level.raws[CHARSET_TAG] = value
        level.text = TextDecoder(terms.split("\\") if terms else (), self._fallback)
        self._write(level, CHARSET_TAG, prefix + (dicomjson.UTF_8 if terms else dicomjson.NO_VALUE))

    def _write(self, level: Level, tag: int, piece: bytes) -> None:
        if not self._cut:
            level.out.append(piece)
        if tag <= level.last:
            level.ordered = False
        level.last = tag

    # Undefined lengths, sequences and items

    def _undefined(self, level: Level, entry: Entry, vr: str, start: int) -> Level:
        """An element of undefined length: a sequence, or encapsulated pixel data (PS3.5 §7.5, §A.4)."""
        tag = entry.tag
        if vr in ("SQ", "UN") or (not level.syntax.explicit and tag not in PIXEL_TAGS):
            syntax = IMPLICIT_LITTLE if vr == "UN" else level.syntax
            return self._open_sequence(level, entry, syntax, start, level.end, undefined=True)
        if vr not in ("OB", "OW"):
            raise InvalidInstance("an element has an undefined length that its VR does not allow", offending_tag=tag)
        fragments, end = walk.fragments(self._source, level.syntax, tag, start, level.end)
        prefix = dicomjson.key_prefix(tag, vr)
        if tag in PIXEL_TAGS and level is self.root:
            self.pixel = PixelValue(tag, vr, start, end - start, tuple(fragments))
            self._write(level, tag, prefix + dicomjson.bulk_reference(f"{tag:08X}"))
        else:
            self._write(level, tag, prefix + self._reference(level, tag, vr, start, end - start, encapsulated=True))
        self._position = end
        self._refill()
        return level

    def _open_sequence(
        self, level: Level, entry: Entry, syntax: Syntax, start: int, end: int, *, undefined: bool
    ) -> Level:
        tag = entry.tag
        if self._depth >= self._depth_limit:
            self.warnings[DEPTH_WARNING] = None
            self._write(level, tag, dicomjson.key_prefix(tag, "SQ") + dicomjson.NO_VALUE)
            self._position = walk.end_of_items(self._source, syntax, tag, start, end) if undefined else end
            self._refill()
            return level
        self._depth += 1
        self._position = start
        guessing = undefined and syntax is not level.syntax
        prefix = entry.prefix if entry.vr == "SQ" else dicomjson.key_prefix(tag, "SQ")
        return self._next_item(Sequence(level, tag, prefix, syntax, end, undefined, guessing))

    def _next_item(self, sequence: Sequence) -> Level:
        """The next item as a level, or the parent when the sequence is over."""
        position = self._position
        if position >= sequence.end and not sequence.undefined:
            return self._close_sequence(sequence)
        header = self._peek(position)
        if position + 8 > sequence.end or len(header) < 8:
            raise walk.truncated(sequence.tag)
        tag, length = sequence.syntax.delimiters.get(header[:4]), sequence.syntax.unpack_length(header, 4)[0]
        self._position = position + 8
        if tag == SEQUENCE_END:
            return self._close_sequence(sequence)
        undefined = length == UNDEFINED
        end = sequence.end if undefined else position + 8 + length
        if tag != ITEM or end > sequence.end:
            raise InvalidInstance("an item of a sequence cannot be read", offending_tag=sequence.tag)
        sequence.number += 1
        parent = sequence.parent
        watch = self._nested_watch.get(sequence.tag, _CONTEXT) if parent is self.root else _CONTEXT
        syntax = sequence.syntax
        if sequence.guessing and self._looks_explicit(self._position, end):
            syntax = EXPLICIT_LITTLE
        level = Level(syntax, end, undefined, parent.text, watch, {}, sequence)
        if watch is not _CONTEXT and sequence.number <= WATCHED_ITEMS:
            self.nested.setdefault(sequence.tag, []).append(level)
        self._refill()
        return level

    def _looks_explicit(self, position: int, end: int) -> bool:
        header = self._source.read(position, 8)
        implicit_length = IMPLICIT_LITTLE.unpack_length(header, 4)[0] if len(header) == 8 else 0
        too_long = implicit_length != UNDEFINED and position + 8 + implicit_length > end
        return too_long and header[4:6].decode("latin-1") in KNOWN

    def _delimiter(self, level: Level, tag: int, length: int) -> Level | None:
        """An item or sequence delimiter where an element was expected."""
        if tag == ITEM_END and level.undefined and length == 0:
            self._position += 8
            return self._close_item(level)
        if tag not in (ITEM_END, SEQUENCE_END) or length or level.undefined:
            raise InvalidInstance("a delimiter stands where an element should", offending_tag=tag)
        self.warnings[STRAY_WARNING] = None
        self._position += 8
        self._refill()
        return level

    def _end_of_level(self, level: Level) -> Level | None:
        if level.sequence is None:
            self.json = self._close(level)
            return None
        if level.undefined:
            raise walk.truncated(level.sequence.tag)
        return self._close_item(level)

    def _close_item(self, level: Level) -> Level:
        sequence = level.sequence
        if sequence is None:
            raise InvalidInstance("an item ends outside of a sequence")
        text = self._close(level)
        if not self._cut:
            sequence.items.append(text)
        return self._next_item(sequence)

    def _close_sequence(self, sequence: Sequence) -> Level:
        self._depth -= 1
        parent = sequence.parent
        self._measure(parent)
        value = b',"Value":[' + b",".join(sequence.items) + b"]}" if sequence.items else dicomjson.NO_VALUE
        self._write(parent, sequence.tag, sequence.prefix + value)
        parent.measured = len(parent.out)  # its items were counted one by one
        self._refill()
        return parent

    def _close(self, level: Level) -> bytes:
        """The JSON object of a level; keys ascend and are unique also where tags did not and were not."""
        self._measure(level)
        if level.text.guessed:
            self.warnings[GUESS_WARNING] = None
        pieces = level.out
        if not level.ordered:
            latest = {piece[2:10]: piece for piece in pieces}
            pieces = [latest[key] for key in sorted(latest)]
        return b"{" + b"".join(pieces)[1:] + b"}"

    # Bookkeeping

    def _measure(self, level: Level) -> None:
        """Count what was written against the metadata limit."""
        self._written += sum(map(len, level.out[level.measured :]))
        level.measured = len(level.out)
        if self._written > self._limit:
            self._cut = True
            self.warnings[LIMIT_WARNING] = None

    def _peek(self, position: int) -> bytes:
        """The 12 bytes an element header has at most."""
        at = position - self._base
        header = self._window[at : at + 12] if at >= 0 else b""
        return header if len(header) == 12 else self._source.read(position, 12)

    def _refill(self) -> None:
        """Move the window so that plain elements can be read from the current position."""
        known = self._base + len(self._window)
        if self._position < self._base or (self._position + 2 * QUICK_BYTES > known and known < self._source.size):
            self._window, self._base = self._source.read(self._position, WINDOW_BYTES), self._position

    def _tail(self, level: Level, tag: int | None) -> Level | None:
        """The last bytes are no element: zeros are padding, anything else was cut off."""
        position = self._position
        if level is not self.root or not walk.only_zeros(self._source, position, level.end):
            raise walk.truncated(tag)
        self.warnings[TRAILING_WARNING] = None
        self._position = level.end
        return level


def _drop(piece: bytes) -> None:
    """Takes the place of `append` once the metadata limit is reached."""
