"""What the archive has to know about a data set, from one pass over its bytes: index attributes, DICOM JSON, tables.

The bytes are only read. Long values, pixel data above all, are skipped by their length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from bridge.charset import ESCAPE
from bridge.dicomjson import BULK_BASE
from bridge.errors import InvalidInstance
from bridge.frames import (
    VIDEO_UIDS,
    BulkElement,
    FrameTable,
    PixelDescription,
    group_fragments,
    pack,
    pack_bulk,
    parse_offsets,
)
from bridge.header_syntax import Syntax, is_deflated, syntax_of
from bridge.runs import Runs
from bridge.scan import Level, PixelValue, Scanner
from bridge.source import Buffer, BufferSource, InflatedSource, Source
from storage.attributes import ATTRIBUTES, IndexedAttribute
from storage.keys import is_uid

INDEXED_CHARACTERS = 512  # kept of an attribute for the index; the longest legal value of most is 64 (PS3.5 §6.2)

FRAMES_WARNING = "frame limits uncertain"
SHORT_PIXELS_WARNING = "pixel data shorter than described"

_IDENTITY = (
    ("SOPClassUID", 0x00080016),
    ("SOPInstanceUID", 0x00080018),
    ("StudyInstanceUID", 0x0020000D),
    ("SeriesInstanceUID", 0x0020000E),
)
_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION = (
    0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
)  # fmt: skip
_DOCUMENT, _DOCUMENT_TYPE, _DOCUMENT_LENGTH = 0x00420011, 0x00420012, 0x00420015
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002  # Extended Offset Table and its lengths
_FRAME_COUNT = re.compile(r"0{0,8}[1-9][0-9]{0,8}")

_TOP = {attribute.tag: attribute for attribute in ATTRIBUTES if len(attribute.path) == 1}
_NESTED: dict[int, dict[int, IndexedAttribute]] = {}
for _attribute in ATTRIBUTES:
    if len(_attribute.path) == 2:
        _NESTED.setdefault(_attribute.path[0], {})[_attribute.tag] = _attribute
_WATCH = frozenset(_TOP) | {
    _SAMPLES, _PHOTOMETRIC, _PLANAR, _STORED, _HIGH_BIT, _DOCUMENT_TYPE, _DOCUMENT_LENGTH,
}  # fmt: skip
_NESTED_WATCH = {outer: frozenset(inner) for outer, inner in _NESTED.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One instance, described."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    attributes: dict[str, str]  # keyword of storage/attributes.py -> text; values joined by "\\"; absent ones left out
    metadata_json: bytes  # one JSON object in UTF-8; BulkDataURIs start with a raw NUL in place of the service's URL
    frame_table: bytes | None  # packed FrameTable; None without pixel data
    bulk_table: bytes | None  # packed BulkElements; None when only the pixel data are bulk
    warnings: tuple[str, ...]


def describe(
    data_set: Buffer,
    transfer_syntax_uid: str,
    *,
    fallback_charset: str = "",
    inline_binary_bytes: int = 4096,
    depth_limit: int = 64,
    metadata_limit_bytes: int = 32 << 20,
    inflate_ratio_limit: int = 200,
) -> Description:
    """Describe a data set (without preamble and file meta).

    Raises InvalidInstance when it is truncated, its structure cannot be read, or a UID of study, series, SOP class or
    SOP instance is missing or unusable. Text that cannot be decoded is no reason to refuse.
    """
    deflated = is_deflated(transfer_syntax_uid)
    source: Source = InflatedSource(data_set, inflate_ratio_limit) if deflated else BufferSource(data_set)
    try:
        syntax = syntax_of(transfer_syntax_uid)
        scanner = Scanner(
            source,
            syntax,
            watch=_WATCH,
            nested_watch=_NESTED_WATCH,
            fallback_charset=fallback_charset,
            inline_binary_bytes=inline_binary_bytes,
            depth_limit=depth_limit,
            metadata_limit_bytes=metadata_limit_bytes,
            runs=_runs(syntax, inline_binary_bytes),
        )
        scanner.run()
        attributes = _attributes(scanner)
        uids = [_uid(attributes, keyword, tag) for keyword, tag in _IDENTITY]
        table = _frame_table(scanner, source, transfer_syntax_uid) if scanner.pixel else None
    finally:
        source.close()
    sop_class, instance, study, series = uids
    place = f"/studies/{study}/series/{series}/instances/{instance}/bulkdata/".encode("ascii")
    return Description(
        sop_class_uid=sop_class,
        sop_instance_uid=instance,
        study_instance_uid=study,
        series_instance_uid=series,
        attributes=attributes,
        metadata_json=scanner.json.replace(BULK_BASE, BULK_BASE + place),
        frame_table=pack(table) if table else None,
        bulk_table=pack_bulk(_with_document(scanner)) if scanner.bulk else None,
        warnings=tuple(scanner.warnings),
    )


def _uid(attributes: dict[str, str], keyword: str, tag: int) -> str:
    uid = attributes.get(keyword, "")
    if not is_uid(uid):
        raise InvalidInstance(f"{keyword} is {'unusable' if uid else 'missing'}", offending_tag=tag)
    return uid


def _attributes(scanner: Scanner) -> dict[str, str]:
    """Decoded values of the indexed attributes that are there and not empty."""
    found: dict[str, str] = {}
    _add_attributes(found, scanner.root, _TOP)
    for outer, items in scanner.nested.items():
        for item in items:
            inner: dict[str, str] = {}
            _add_attributes(inner, item, _NESTED[outer])
            for keyword, text in inner.items():
                found[keyword] = _joined(found.get(keyword, ""), text)
    return found


def _joined(values: str, more: str) -> str:
    """The values of all items, each once, as far as there is room."""
    known = values.split("\\") if values else []
    joined = "\\".join(dict.fromkeys([*known, *more.split("\\")]))
    return joined if len(joined) <= INDEXED_CHARACTERS else values


def _add_attributes(found: dict[str, str], level: Level, wanted: dict[int, IndexedAttribute]) -> None:
    for tag, raw in level.raws.items():
        attribute = wanted.get(tag)
        if attribute is None:
            continue
        if attribute.vr == "US":
            text = str(_number(raw, level.syntax.big_endian))
        elif raw.isascii() and ESCAPE not in raw:
            text = _ascii(raw)
        else:
            text = _unpadded(level.text.decode(raw, attribute.vr))
        if text:
            found[attribute.keyword] = text


@lru_cache(maxsize=1024)
def _ascii(raw: bytes) -> str:
    """Text that is the same in every character set; most of it comes again with the next instance."""
    return _unpadded(raw.decode("ascii"))


def _unpadded(text: str) -> str:
    text = text.strip(" \0")
    if "\\" in text:
        text = "\\".join([value.strip(" \0") for value in text.split("\\")])
    return text[:INDEXED_CHARACTERS]


@lru_cache(maxsize=16)
def _runs(syntax: Syntax, _inline_binary_bytes: int) -> Runs:
    """One set of runs for all scans with the same syntax and limit; the watched tags are the same in all."""
    return Runs(syntax)


def _number(raw: bytes, big_endian: bool) -> int:
    """The first US value; 0 when there is none."""
    return int.from_bytes(raw[:2], "big" if big_endian else "little")


def _frame_table(scanner: Scanner, source: Source, transfer_syntax_uid: str) -> FrameTable | None:
    pixel = scanner.pixel
    if pixel is None:
        return None
    description = _pixel_description(scanner, pixel)
    big_endian = scanner.root.syntax.big_endian
    if pixel.fragments is None:
        expected = description.frame_bits * description.number_of_frames
        if pixel.length * 8 < expected:
            scanner.warnings[SHORT_PIXELS_WARNING] = None
        return FrameTable(
            description=description, encapsulated=False, big_endian=big_endian, offset=pixel.offset, length=pixel.length
        )
    frames, certain = _frames(scanner, source, pixel, description, transfer_syntax_uid)
    if not certain and transfer_syntax_uid not in VIDEO_UIDS:
        scanner.warnings[FRAMES_WARNING] = None
    return FrameTable(
        description=description, encapsulated=True, big_endian=big_endian, offset=pixel.offset, length=pixel.length,
        frames=frames,
    )  # fmt: skip


def _frames(
    scanner: Scanner, source: Source, pixel: PixelValue, description: PixelDescription, transfer_syntax_uid: str
) -> tuple[list[tuple[tuple[int, int], ...]], bool]:
    table, fragments = (pixel.fragments or ((0, 0),))[0], (pixel.fragments or ())[1:]
    raws = scanner.root.raws
    try:
        basic = parse_offsets(source.read(*table), 4)
        extended = (parse_offsets(raws.get(_OFFSETS, b""), 8), parse_offsets(raws.get(_LENGTHS, b""), 8))
    except InvalidInstance:
        basic, extended = (), ((), ())
    return group_fragments(
        fragments,
        description.number_of_frames,
        transfer_syntax_uid,
        basic_offsets=basic,
        extended=extended,
        peek=lambda offset: source.read(offset, 12),
    )


def _pixel_description(scanner: Scanner, pixel: PixelValue) -> PixelDescription:
    raws, big_endian = scanner.root.raws, scanner.root.syntax.big_endian

    def number(tag: int) -> int:
        return _number(raws.get(tag, b""), big_endian)

    frames = raws.get(_FRAMES, b"").decode("latin-1").strip(" \0")
    return PixelDescription(
        rows=number(_ROWS),
        columns=number(_COLUMNS),
        samples_per_pixel=number(_SAMPLES),
        bits_allocated=number(_ALLOCATED),
        bits_stored=number(_STORED),
        high_bit=number(_HIGH_BIT),
        pixel_representation=number(_REPRESENTATION),
        photometric_interpretation=raws.get(_PHOTOMETRIC, b"").decode("latin-1").strip(" \0"),
        planar_configuration=number(_PLANAR),
        number_of_frames=int(frames) if _FRAME_COUNT.fullmatch(frames) else 1,
        tag=pixel.tag,
        vr=pixel.vr,
    )


def _with_document(scanner: Scanner) -> list[BulkElement]:
    """The bulk elements; an encapsulated document gets its own media type and length (PS3.3 §C.24.2)."""
    raws, big_endian = scanner.root.raws, scanner.root.syntax.big_endian
    media_type = raws.get(_DOCUMENT_TYPE, b"").decode("latin-1").strip(" \0")
    stated = int.from_bytes(raws.get(_DOCUMENT_LENGTH, b"")[:4], "big" if big_endian else "little")
    elements: list[BulkElement] = []
    for element in scanner.bulk:
        if element.path == f"{_DOCUMENT:08X}":
            length = stated if element.length - 1 <= stated <= element.length else element.length
            usable = media_type.isascii() and media_type.isprintable() and "/" in media_type
            element = replace(element, length=length, media_type=media_type if usable else element.media_type)
        elements.append(element)
    return elements
