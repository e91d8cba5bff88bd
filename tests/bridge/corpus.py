"""Real files to hold the scanner against, and how two DICOM JSON objects are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import data_store
import orjson
import pydicom

from bridge.errors import InvalidInstance
from bridge.header_syntax import is_deflated, syntax_of
from bridge.part10 import FileMeta, read_preamble
from bridge.scan import Scanner
from bridge.source import BufferSource, InflatedSource, Source

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = {
    "pydicom": Path(pydicom.__file__).parent / "data",
    "pydicom-data": Path(str(data_store.__file__)).parent,
    "shared": REPOSITORY.parent / "shared" / "data",
}
NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})


def files() -> dict[str, Path]:
    """Name -> path of every DICOM file at hand; names say where a file comes from, not where it lies."""
    found: dict[str, Path] = {}
    for origin, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix.lower() in (".dcm", ""):
                with path.open("rb") as file:
                    if file.read(132)[128:] == b"DICM":
                        found[f"{origin}/{path.relative_to(folder).as_posix()}"] = path
    return found


def read(path: Path) -> tuple[FileMeta, bytes] | None:
    """(file meta, data set) of a DICOM file; None when even the file meta cannot be used."""
    data = path.read_bytes()
    try:
        meta = read_preamble(data)
    except InvalidInstance:
        return None
    return meta, data[meta.data_set_offset :]


def scanned(data_set: bytes, transfer_syntax_uid: str, *, inline_binary_bytes: int = 1 << 30) -> dict[str, Any]:
    """DICOM JSON of a data set that need not be an instance; nothing but pixel data by reference."""
    scanner = _scan(data_set, transfer_syntax_uid, inline_binary_bytes)
    parsed: dict[str, Any] = orjson.loads(scanner.json.replace(b"\0", b"BASE/"))
    return parsed


def before_fragments(data_set: bytes, transfer_syntax_uid: str) -> bytes:
    """The data set up to its encapsulated pixel data; all of it when it has none."""
    pixel = _scan(data_set, transfer_syntax_uid, 1 << 30).pixel
    return data_set if pixel is None or pixel.fragments is None else data_set[: pixel.offset - 12]


def _scan(data_set: bytes, transfer_syntax_uid: str, inline_binary_bytes: int) -> Scanner:
    deflated = is_deflated(transfer_syntax_uid)
    source: Source = InflatedSource(data_set, 200) if deflated else BufferSource(data_set)
    syntax = syntax_of(transfer_syntax_uid)
    scanner = Scanner(source, syntax, watch=frozenset(), nested_watch={}, inline_binary_bytes=inline_binary_bytes)
    scanner.run()
    return scanner


def differences(ours: dict[str, Any], theirs: dict[str, Any], path: str = "") -> Iterator[str]:
    """What differs, except: values we give by reference, SpecificCharacterSet (always ISO_IR 192 with us), the
    seventh digit of numbers and whether they are strings, null or "" for an empty value, padding inside multi-values.
    """
    for key in sorted(ours.keys() | theirs.keys()):
        place = f"{path}{key}"
        if key not in ours or key not in theirs:
            yield f"{place} only {'ours' if key in ours else 'theirs'}"
        elif ours[key]["vr"] != theirs[key]["vr"]:
            yield f"{place} vr {ours[key]['vr']} is {theirs[key]['vr']} with them"
        elif key == "00080005" or "BulkDataURI" in ours[key]:
            continue
        elif ours[key]["vr"] == "SQ":
            yield from _items(ours[key].get("Value", []), theirs[key].get("Value", []), place)
        elif not _same(ours[key], theirs[key]):
            yield f"{place} {str(ours[key])[:200]} is {str(theirs[key])[:200]} with them"


def _items(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], place: str) -> Iterator[str]:
    if len(ours) != len(theirs):
        yield f"{place} has {len(ours)} items, {len(theirs)} with them"
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        yield from differences(one, other, f"{place}/{number}/")


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    if ours.get("InlineBinary") != theirs.get("InlineBinary"):
        return False
    one, other = (_plain(element) for element in (ours, theirs))
    if ours["vr"] not in NUMBERS:
        return one == other
    return len(one) == len(other) and all(map(_same_number, one, other))


def _plain(element: dict[str, Any]) -> list[Any]:
    values = [_stripped(value) for value in element.get("Value", [])]
    return values if any(value is not None for value in values) else []


def _stripped(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip(" \0") or None
    if isinstance(value, dict):
        return {key: text.rstrip(" ") for key, text in value.items() if text.rstrip(" ")} or None
    return value


def _same_number(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-6)
    except ValueError:
        return str(one) == str(other)
