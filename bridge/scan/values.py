"""Writing elements as DICOM JSON: values inline, by reference where they are long or bulk (PS3.18 Annex F)."""

from __future__ import annotations

from bridge import dicomjson, walk
from bridge.charset import TextDecoder
from bridge.dictionary import BINARY, NUMERIC, PIXEL_TAGS, WORD_BYTES
from bridge.errors import InvalidInstance
from bridge.frames import BulkElement
from bridge.header_syntax import CHARSET_TAG, ENCAPSULATED_DOCUMENT_TAG
from bridge.scan.levels import Level, PixelValue
from bridge.scan.warnings import GUESS_WARNING, LIMIT_WARNING
from bridge.source import Source

LONG_TEXT_BYTES = 1 << 20  # text and decimal values beyond this are given by reference
WATCHED_BYTES = 4096  # longer values of indexed attributes are garbage and stay out of the index
OFFSETS_BYTES = 4 << 20  # of an extended offset table; frames of a longer one are found without it
EXTENDED_OFFSETS = frozenset({0x7FE00001, 0x7FE00002})  # and their lengths


class Values:
    """What a scan writes. The JSON is in the levels; `pixel`, `bulk` and `warnings` are those of the whole data set."""

    def __init__(self, source: Source, fallback_charset: str, inline_binary_bytes: int, limit_bytes: int) -> None:
        self.pixel: PixelValue | None = None
        self.bulk: list[BulkElement] = []
        self.warnings: dict[str, None] = {}  # an ordered set
        self.is_cut = False  # the metadata limit is reached: go on without writing
        self._source, self._fallback = source, fallback_charset
        self._inline_bytes, self._limit = inline_binary_bytes, limit_bytes
        self._written = 0

    def write(self, level: Level, tag: int, piece: bytes) -> None:
        """Add the JSON of one element to its level."""
        if not self.is_cut:
            level.out.append(piece)
        if tag <= level.last:
            level.ordered = False
        level.last = tag

    def plain(self, level: Level, tag: int, vr: str, start: int, length: int) -> None:
        """Write one element with a defined length that is no sequence. Raises InvalidInstance."""
        prefix = dicomjson.key_prefix(tag, vr)
        if tag in PIXEL_TAGS and level.sequence is None and length:
            self.pixel = PixelValue(tag, vr, start, length, None)
            self.write(level, tag, prefix + dicomjson.bulk_reference(f"{tag:08X}"))
            return
        if tag == CHARSET_TAG:
            self._charset(level, prefix, self._source.read(start, min(length, WATCHED_BYTES)))
            return
        inline = self._inline_bytes if vr in BINARY or vr in NUMERIC else LONG_TEXT_BYTES
        value = b""
        watched = tag in level.watch and length <= (OFFSETS_BYTES if tag in EXTENDED_OFFSETS else WATCHED_BYTES)
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
        self.write(level, tag, prefix + written)

    def encapsulated(self, level: Level, tag: int, vr: str, start: int) -> int:
        """Write an element of undefined length that is no sequence (PS3.5 §A.4). Returns where it ends.

        Raises InvalidInstance.
        """
        if vr not in ("OB", "OW"):
            raise InvalidInstance("an element has an undefined length that its VR does not allow", offending_tag=tag)
        fragments, end = walk.fragments(self._source, level.syntax, tag, start, level.end)
        prefix = dicomjson.key_prefix(tag, vr)
        if tag in PIXEL_TAGS and level.sequence is None:
            self.pixel = PixelValue(tag, vr, start, end - start, tuple(fragments))
            self.write(level, tag, prefix + dicomjson.bulk_reference(f"{tag:08X}"))
        else:
            self.write(level, tag, prefix + self._reference(level, tag, vr, start, end - start, encapsulated=True))
        return end

    def measure(self, level: Level) -> None:
        """Count what was written against the metadata limit."""
        self._written += sum(map(len, level.out[level.measured :]))
        level.measured = len(level.out)
        if self._written > self._limit:
            self.is_cut = True
            self.warnings[LIMIT_WARNING] = None

    def close(self, level: Level) -> bytes:
        """The JSON object of a level; keys ascend and are unique also where tags did not and were not."""
        self.measure(level)
        if level.text.guessed:
            self.warnings[GUESS_WARNING] = None
        pieces = level.out
        if not level.ordered:
            latest = {piece[2:10]: piece for piece in pieces}
            pieces = [latest[key] for key in sorted(latest)]
        return b"{" + b"".join(pieces)[1:] + b"}"

    def _reference(self, level: Level, tag: int, vr: str, start: int, length: int, *, encapsulated: bool) -> bytes:
        path = level.path(tag)
        big_endian = level.syntax.big_endian and vr in WORD_BYTES
        if not self.is_cut:
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
        self.write(level, CHARSET_TAG, prefix + (dicomjson.UTF_8 if terms else dicomjson.NO_VALUE))
