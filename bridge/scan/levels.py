"""The data sets inside of each other that are being read: the root, sequences, and their items (PS3.5 §7.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.charset import TextDecoder
from bridge.dictionary import KNOWN
from bridge.frames import Span
from bridge.header_syntax import Entry, Syntax

PIXEL_REPRESENTATION, LUT_DESCRIPTOR = 0x00280103, 0x00283002
CONTEXT = frozenset({PIXEL_REPRESENTATION, LUT_DESCRIPTOR})  # decide the VR of others: watched at every level


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

    def vr(self, entry: Entry) -> str:
        """The VR of an element of this level, where PS3.6 leaves a choice by context (PS3.5 §A.1)."""
        vr = entry.vr
        if vr in KNOWN:
            return vr
        if self.syntax.explicit:
            return "UN"
        if vr == "US or SS":
            return "SS" if self._context(PIXEL_REPRESENTATION)[:1] == b"\1" else "US"
        if vr == "US or OW":  # LUT Data: one entry is a number, a table is words
            return "US" if self._context(LUT_DESCRIPTOR)[:2] == b"\1\0" else "OW"
        return "OW" if "OW" in vr else "UN"

    def _context(self, tag: int) -> bytes:
        """Raw value of `tag` here and in the enclosing data sets, innermost first; empty when none has it."""
        level = self
        while tag not in level.raws and level.sequence is not None:
            level = level.sequence.parent
        return level.raws.get(tag, b"")


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
