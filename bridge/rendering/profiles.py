"""ICC profiles: converting a picture to a named colour space, what to embed (PS3.18 §8.3.5.1.5; ICC.1:2004)."""

from __future__ import annotations

import functools
import io
import struct

from PIL import Image, ImageCms

from bridge.rendering.refusal import Unpaintable

# What the iccprofile parameter may ask for; YES embeds the image's own profile, or that of sRGB where it has none.
NO, YES, SRGB, ADOBE_RGB, ROMM_RGB = "no", "yes", "srgb", "adobergb", "rommrgb"
CHOICES = (NO, YES, SRGB, ADOBE_RGB, ROMM_RGB)

# Colour space -> (gamma, red, green and blue as XYZ of the profile connection space, D50).
# Adobe RGB (1998) §4.3; ANSI/I3A IT10.7666 (ROMM RGB).
_SPACES = {
    ADOBE_RGB: (2.19921875, (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    ROMM_RGB: (1.8, (0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)),
}
_WHITE_D50 = (0.9642, 1.0, 0.8249)
_NAMES = {ADOBE_RGB: "Adobe RGB (1998) compatible", ROMM_RGB: "ROMM RGB compatible"}


def with_profile(image: Image.Image, choice: str, own: bytes) -> tuple[Image.Image, bytes | None]:
    """The picture as `choice` wants it, in RGB, and the profile to embed. `own` is the profile of the image, or empty.

    Reads strangers' profiles, so it belongs in a codec worker when `own` is not empty. Raises Unpaintable.
    """
    if choice == NO:
        return image, None
    image = image.convert("RGB")
    usable = own if own[36:40] == b"acsp" and own[16:20] == b"RGB " else b""
    if choice == YES:
        return image, usable or _profile(SRGB)
    if not usable and choice == SRGB:
        return image, _profile(SRGB)
    try:
        converted = ImageCms.profileToProfile(
            image, io.BytesIO(usable or _profile(SRGB)), io.BytesIO(_profile(choice)), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise Unpaintable("the colour profile of the image is broken") from error
    return converted or image, _profile(choice)


@functools.lru_cache(len(CHOICES))
def _profile(choice: str) -> bytes:
    if choice == SRGB:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return bytes(profile.tobytes())  # type: ignore[no-untyped-call]
    return _matrix_profile(_NAMES[choice], *_SPACES[choice])


def _matrix_profile(name: str, gamma: float, *primaries: tuple[float, float, float]) -> bytes:
    """A display profile of three primaries and one gamma (ICC.1:2004 §8.3.3)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = name.encode("ascii") + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": b"text" + bytes(4) + b"No copyright\0" + bytes(3),
        b"wtpt": _xyz(_WHITE_D50),
        **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, primaries), strict=True)),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, bodies = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, body in tags.items():
        table += struct.pack(">4sII", signature, start + len(bodies), len(body))
        bodies += body
    size = 128 + len(table) + len(bodies)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(_WHITE_D50)[8:]
    return header.ljust(128, b"\0") + table + bodies


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))
