"""Pictures as files: JPEG baseline, PNG, GIF, WebP, JPEG 2000 (PS3.18 §8.7.4)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from PIL import Image

from bridge.rendering.refusal import Unpaintable

JPEG, PNG, GIF, WEBP, JP2 = "image/jpeg", "image/png", "image/gif", "image/webp", "image/jp2"
STILLS = (JPEG, PNG, GIF, WEBP, JP2)  # the default first (Table 8.7.4-1); WebP is our own addition
WITH_PROFILE = frozenset({JPEG, PNG, WEBP})  # types that carry a colour profile

DEFAULT_QUALITY = 90
_SIDE_LIMITS = {JPEG: 65500, GIF: 65535, WEBP: 16383}  # of the formats and of libjpeg


def encoded(image: Image.Image, media_type: str, quality: int | None, profile: bytes | None = None) -> bytes:
    """The picture as a file of this type. Raises Unpaintable when it is too large for it, or cannot be written."""
    if max(image.size) > _SIDE_LIMITS.get(media_type, 1 << 20):
        raise Unpaintable(f"the picture is too large for {media_type}; ask for a smaller viewport")
    buffer = io.BytesIO()
    try:
        _WRITERS[media_type](image, buffer, quality, profile)
    except (OSError, ValueError) as error:
        raise Unpaintable(f"the picture cannot be written as {media_type}") from error
    return buffer.getvalue()


def animated(images: Sequence[Image.Image], durations_ms: Sequence[int]) -> bytes:
    """A GIF that repeats for ever."""
    first, *others = images
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=list(durations_ms), loop=0, optimize=False)
    return buffer.getvalue()


def _jpeg(image: Image.Image, file: io.BytesIO, quality: int | None, profile: bytes | None) -> None:
    image.save(file, "JPEG", quality=quality or DEFAULT_QUALITY, icc_profile=profile)


def _png(image: Image.Image, file: io.BytesIO, _quality: int | None, profile: bytes | None) -> None:
    image.save(file, "PNG", compress_level=3, icc_profile=profile)


def _gif(image: Image.Image, file: io.BytesIO, _quality: int | None, _profile: bytes | None) -> None:
    image.save(file, "GIF", optimize=False)


def _webp(image: Image.Image, file: io.BytesIO, quality: int | None, profile: bytes | None) -> None:
    image.save(file, "WEBP", quality=quality or DEFAULT_QUALITY, method=2, icc_profile=profile or b"")


def _jp2(image: Image.Image, file: io.BytesIO, quality: int | None, _profile: bytes | None) -> None:
    """Lossless, unless a quality asks for less."""
    if quality is None or quality == 100:
        image.save(file, "JPEG2000", irreversible=False)
    else:
        image.save(file, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[25 + quality / 4])


_WRITERS: dict[str, Callable[[Image.Image, io.BytesIO, int | None, bytes | None], None]] = {
    JPEG: _jpeg, PNG: _png, GIF: _gif, WEBP: _webp, JP2: _jp2,
}  # fmt: skip
