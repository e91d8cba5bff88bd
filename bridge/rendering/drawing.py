"""One frame's native bytes -> a picture file: what a codec worker, or the door itself for small frames, is told to do.

A `Drawing` holds all of it as plain values, so that it can travel to a worker as JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson
from PIL import Image

from bridge.attributes import Attributes
from bridge.frames import PixelDescription
from bridge.presentation.painting import present
from bridge.presentation.values import Presentation, from_values
from bridge.rendering.annotation import annotated
from bridge.rendering.colour import palette_pixels, rgb_pixels
from bridge.rendering.encoding import encoded
from bridge.rendering.geometry import Viewport, pixel_ratio, placed
from bridge.rendering.grey import grey_levels
from bridge.rendering.profiles import NO, with_profile
from bridge.rendering.refusal import Unpaintable
from bridge.rendering.samples import stored_values, words_of
from bridge.rendering.windows import Window

RAW = "raw"  # instead of a media type: the pixels themselves, as `raw_image` reads them


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A frame as it comes, native, and how it is to be drawn. `attributes_json`: its looks, as DICOM JSON."""

    description: PixelDescription
    attributes_json: bytes
    media_type: str
    quality: int | None = None
    window: Window | None = None
    viewport: Viewport | None = None
    presentation: Presentation | None = None
    left: tuple[str, ...] = ()  # lines of text in the upper left corner
    right: tuple[str, ...] = ()
    icc_profile: str = NO
    own_profile: bytes = b""

    def to_json(self) -> str:
        """As text for a worker."""
        values = asdict(self)
        values["attributes_json"] = self.attributes_json.decode()
        values["own_profile"] = self.own_profile.hex()
        return orjson.dumps(values).decode()

    @classmethod
    def from_json(cls, text: str) -> Drawing:
        """The inverse of `to_json`."""
        values: dict[str, Any] = orjson.loads(text)
        values["attributes_json"] = values["attributes_json"].encode()
        values["own_profile"] = bytes.fromhex(values["own_profile"])
        values["left"], values["right"] = tuple(values["left"]), tuple(values["right"])
        values["description"] = PixelDescription(**values["description"])
        values["window"] = Window(**values["window"]) if values["window"] else None
        values["viewport"] = Viewport(**values["viewport"]) if values["viewport"] else None
        values["presentation"] = from_values(values["presentation"]) if values["presentation"] else None
        return cls(**values)


def draw(frame: bytes, drawing: Drawing) -> bytes:
    """The picture of a native frame as a file. Raises Unpaintable."""
    image = annotated(painted(frame, drawing), drawing.left, drawing.right)
    if drawing.media_type == RAW:
        return b"%-4b%10d%10d" % (image.mode.encode(), *image.size) + image.tobytes()
    image, profile = with_profile(image, drawing.icc_profile, drawing.own_profile)
    return encoded(image, drawing.media_type, drawing.quality, profile)


def painted(frame: bytes, drawing: Drawing) -> Image.Image:
    """The picture of a native frame: mode L or RGB. Raises Unpaintable."""
    description = drawing.description
    words = words_of(frame, description)
    stored = stored_values(description)
    photometric = description.photometric_interpretation
    if description.samples_per_pixel == 3:
        pixels = rgb_pixels(words, stored, photometric)
    elif photometric == "PALETTE COLOR":
        pixels = palette_pixels(words, stored, drawing.attributes_json)
    elif photometric in ("MONOCHROME1", "MONOCHROME2", ""):
        pixels = grey_levels(words, stored, drawing.attributes_json, drawing.window)
    else:
        raise Unpaintable(f"the photometric interpretation {photometric[:16]!r} cannot be rendered")
    ratio = pixel_ratio(Attributes(orjson.loads(drawing.attributes_json)))
    image = Image.fromarray(pixels)
    if drawing.presentation is None:
        return placed(image, drawing.viewport, ratio)
    viewport = drawing.viewport
    if viewport is None or viewport.has_region:
        return placed(present(image, drawing.presentation, None, ratio), viewport, 1.0)
    return present(image, drawing.presentation, (viewport.width, viewport.height), ratio)


def raw_image(body: bytes) -> Image.Image:
    """The picture that `draw` gave for RAW."""
    mode, width, height = body[:4].decode().strip(), int(body[4:14]), int(body[14:24])
    return Image.frombytes(mode, (width, height), body[24:])
