"""The first frame of a file as we paint it and as DCMTK's dcmj2pnm does; also `python -m` for a contact sheet of both.

    python -m tests.bridge.rendering.beside_dcmtk /tmp/sheet.png [words that file names must hold]

Both sides get the same pixels, uncompressed by us, so that only the painting is compared; no pixel shapes, no overlays.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bridge.attributes import Attributes
from bridge.errors import BridgeError
from bridge.frame_reader import codestreams, native_frames
from bridge.frames import FrameTable
from bridge.part10 import build_header
from bridge.pixel_job import decoded_photometric_interpretation
from bridge.pixels import PixelPool
from bridge.render.headers import Headers
from bridge.rendering.drawing import RAW, Drawing, raw_image
from bridge.settings import Pixels
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from tests.bridge.corpus import files
from tests.bridge.objects import Stored
from tests.conftest import Dcmtk
from tests.servers.install import locate

_SHAPES = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
CELL = 200


@dataclass(frozen=True)
class Pair:
    """One frame twice. `label` tells its kind: photometric interpretation, bits, sign, where the contrast is from."""

    name: str
    label: str
    ours: NDArray[Any]
    theirs: NDArray[Any] | None

    @property
    def differences(self) -> NDArray[Any]:
        """How far apart each sample is."""
        assert self.theirs is not None
        mine, other = (as_colour(one).astype(int) for one in (self.ours, self.theirs))
        return np.abs(mine - other)


def as_colour(pixels: NDArray[Any]) -> NDArray[Any]:
    """Grey as three equal channels."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def pairs(pool: PixelPool, dcmtk: Dcmtk, directory: Path, wanted: Callable[[str], bool]) -> Iterator[Pair]:
    """Every readable image of the corpus; `theirs` is None where DCMTK paints none."""
    for name, path in files().items():
        if wanted(name):
            pair = paint(name, path.read_bytes(), pool, dcmtk, directory)
            if pair is not None:
                yield pair


def paint(name: str, data: bytes, pool: PixelPool, dcmtk: Dcmtk, directory: Path) -> Pair | None:
    """A file's first frame on both sides; None when it has no image that we can decode."""
    try:
        stored = Stored(data)
        table = stored.frame_table
        if table is None or table.description.rows == 0:
            return None
        drawing = _drawing(stored, table)
        plain = stored.converted(EXPLICIT_VR_LITTLE_ENDIAN, pool)
        ours = np.asarray(raw_image(_painted(stored, table, drawing, pool)))
    except BridgeError:
        return None
    attributes = Attributes(orjson.loads(drawing.attributes_json))
    return Pair(name, _label(table, attributes), ours, _theirs(plain, attributes, dcmtk, directory))


def _drawing(stored: Stored, table: FrameTable) -> Drawing:
    headers = Headers(limit_bytes=1 << 20, header_limit_bytes=32 << 20, fallback_charset="")
    uid = stored.meta.transfer_syntax_uid
    record: Any = SimpleNamespace(data_set_sha256="", transfer_syntax_uid=uid)
    header, _ = headers.of(record, table, stored.source)
    looks = {key: element for key, element in header.of_frame(1).items() if key not in _keys(_SHAPES)}
    description = table.description
    if table.encapsulated:
        kind = decoded_photometric_interpretation(uid, description.photometric_interpretation)
        description = replace(description, planar_configuration=0, photometric_interpretation=kind)
    return Drawing(description=description, attributes_json=orjson.dumps(looks), media_type=RAW)


def _painted(stored: Stored, table: FrameTable, drawing: Drawing, pool: PixelPool) -> bytes:
    read = codestreams if table.encapsulated else native_frames
    (frame,) = read(table, [1], stored.source)
    uid = stored.meta.transfer_syntax_uid if table.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN
    return pool.draw(b"".join(frame.chunks), table.description, uid, drawing.to_json())


def _keys(keywords: tuple[str, ...]) -> set[str]:
    from bridge.attributes import key_of

    return {key_of(keyword) for keyword in keywords}


def _theirs(plain: bytes, attributes: Attributes, dcmtk: Dcmtk, directory: Path) -> NDArray[Any] | None:
    file, out = directory / "plain.dcm", directory / "out.png"
    out.unlink(missing_ok=True)
    header = build_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
    )
    file.write_bytes(header + plain)
    contrast = ["+Wl", "1"] if _has_voi_lut(attributes) else ["+Wi", "1"] if _has_window(attributes) else ["+Wm"]
    for options in (contrast, []):  # colour images take no contrast
        dcmtk.run("dcmj2pnm", "-q", "-O", "+on", "+F", "1", *options, file, out)
        if out.is_file() and out.stat().st_size:
            with Image.open(out) as image:
                return np.asarray(image.convert("RGB" if image.mode in ("P", "RGB", "RGBA") else "L"))
    return None


def _has_voi_lut(attributes: Attributes) -> bool:
    return bool(attributes.items("VOILUTSequence"))


def _has_window(attributes: Attributes) -> bool:
    return attributes.number("WindowWidth") > 0


def _label(table: FrameTable, attributes: Attributes) -> str:
    about = table.description
    sign = "signed" if about.pixel_representation else "unsigned"
    if about.tag != 0x7FE00010:
        sign = "float"
    contrast = "VOI LUT" if _has_voi_lut(attributes) else "window" if _has_window(attributes) else "range"
    kind = about.photometric_interpretation or "no interpretation"
    if about.samples_per_pixel == 3 or kind == "PALETTE COLOR":
        contrast = f"planar {about.planar_configuration}"
    return f"{kind} {about.bits_stored}/{about.bits_allocated} {sign} {contrast}"


def sheet(found: list[Pair]) -> Image.Image:
    """Ours on the left, DCMTK's on the right, below them what they are and how far they are apart."""
    columns = 3
    rows = -(-len(found) // columns)
    page = Image.new("RGB", (columns * (2 * CELL + 20), rows * (CELL + 42)), (40, 40, 60))
    pen = ImageDraw.Draw(page)
    for number, pair in enumerate(found):
        x, y = number % columns * (2 * CELL + 20), number // columns * (CELL + 42)
        for side, pixels in enumerate((pair.ours, pair.theirs)):
            if pixels is not None:
                image = Image.fromarray(as_colour(pixels))
                image.thumbnail((CELL, CELL))
                page.paste(image, (x + side * CELL, y))
        pen.text((x, y + CELL + 2), pair.name.rpartition("/")[2][-60:], (255, 255, 255))
        pen.text((x, y + CELL + 20), f"{pair.label}   {_verdict(pair)}", (255, 220, 120))
    return page


def _verdict(pair: Pair) -> str:
    if pair.theirs is None:
        return "DCMTK paints nothing"
    if pair.ours.shape[:2] != pair.theirs.shape[:2]:
        return "another size"
    return f"max {pair.differences.max()} mean {pair.differences.mean():.2f}"


def main(target: str, words: list[str]) -> None:
    """Write the sheet, print the table."""
    pool = PixelPool(Pixels())

    def wanted(name: str) -> bool:
        return not name.startswith("shared/ct") and all(word in name for word in words)

    with tempfile.TemporaryDirectory() as directory:
        found = list(pairs(pool, Dcmtk(locate("dcmtk").parent), Path(directory), wanted))
    pool.close()
    kinds: dict[str, list[Pair]] = {}
    for pair in found:
        kinds.setdefault(pair.label, []).append(pair)
    for label in sorted(kinds):
        for pair in kinds[label]:
            print(f"{label} | {pair.name[-60:]} | {_verdict(pair)}")
    chosen = found if words else [one for label in sorted(kinds) for one in kinds[label][:2]]
    sheet(chosen).save(target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
