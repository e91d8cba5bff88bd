"""THE table of transfer syntaxes that images can be compressed into, and which images each may hold (PS3.5 §8.2).

Also how much the lossy ones lose: a client names a syntax, not a quality (PS3.18 §8.7.3), so these are ours to choose.
Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bridge.frames import PixelDescription
from bridge.pixel_job import decoded_photometric_interpretation
from bridge.syntaxes import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS, lookup

JPEG_QUALITY = 90  # of 100, with the tables of ISO 10918-1 Annex K
NEAR = 2  # JPEG-LS: no sample differs by more
PEAK_SIGNAL_TO_NOISE_DB = {False: 50, True: 60}  # JPEG 2000, of samples up to 8 bits and beyond
XL_DISTANCE = 1.0  # Butteraugli distance: visually lossless

_JPEG = "1.2.840.10008.1.2.4."
_GREY = ("MONOCHROME1", "MONOCHROME2")
_GREY_AND_PALETTE = (*_GREY, "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL")


def quantization_step(bits_stored: int, bits_allocated: int) -> float:
    """HTJ2K: of the whole range of the word; a quarter of the 256th part of the range of values."""
    return float(2.0 ** (bits_stored - 10 - bits_allocated))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """One row: what may go in (PS3.5 Tables 8.2.1-1 to 8.2.15-1), what describes it then.

    `method` is the LossyImageCompressionMethod (PS3.3 §C.7.6.1.1.5.1), "" for lossless. `photometric` maps what the
    samples are to what the codestream's are; all else stays.
    """

    uid: str
    interpretations: tuple[str, ...]
    bits: tuple[tuple[int, int, int], ...] = ((8, 1, 8), (16, 1, 16))  # allocated, stored from, stored to
    signed: bool = True
    method: str = ""
    photometric: tuple[tuple[str, str], ...] = ()

    def holds(self, description: PixelDescription, photometric: str) -> bool:
        """Whether an image whose native samples are `photometric` may be encoded so."""
        samples = 3 if photometric in _COLOUR else 1
        return (
            photometric in self.interpretations
            and description.samples_per_pixel == samples
            and (self.signed or description.pixel_representation == 0)
            and any(
                description.bits_allocated == allocated and first <= description.bits_stored <= last
                for allocated, first, last in self.bits
            )
        )

    def photometric_of(self, photometric: str) -> str:
        """The PhotometricInterpretation of what is sent."""
        return dict(self.photometric).get(photometric, photometric)


_RCT, _ICT = (("RGB", "YBR_RCT"),), (("RGB", "YBR_ICT"),)
_ROWS = (
    # §8.2.1
    Compression(uid=_JPEG + "50", interpretations=(*_GREY, *_COLOUR), bits=((8, 8, 8),), signed=False,
                method="ISO_10918_1", photometric=(("RGB", "YBR_FULL_422"), ("YBR_FULL", "YBR_FULL_422"))),
    Compression(uid=_JPEG + "51", interpretations=_GREY, bits=((8, 8, 8), (16, 12, 12)), signed=False,
                method="ISO_10918_1"),
    Compression(uid=_JPEG + "57", interpretations=(*_GREY_AND_PALETTE, *_COLOUR)),
    Compression(uid=_JPEG + "70", interpretations=(*_GREY_AND_PALETTE, *_COLOUR)),
    # §8.2.3
    Compression(uid=_JPEG + "80", interpretations=(*_GREY_AND_PALETTE, *_COLOUR)),
    Compression(uid=_JPEG + "81", interpretations=(*_GREY, *_COLOUR), signed=False, method="ISO_14495_1"),
    # §8.2.4
    Compression(uid=_JPEG + "90", interpretations=(*_GREY_AND_PALETTE, *_COLOUR), photometric=_RCT),
    Compression(uid=_JPEG + "91", interpretations=(*_GREY, *_COLOUR), method="ISO_15444_1", photometric=_ICT),
    # §8.2.15
    Compression(uid=_JPEG + "110", interpretations=(*_GREY, "RGB"), signed=False),
    Compression(uid=_JPEG + "112", interpretations=(*_GREY, "RGB"), signed=False, method="ISO_18181_1",
                photometric=(("RGB", "XYB"),)),
    # §8.2.14
    Compression(uid=_JPEG + "201", interpretations=(*_GREY_AND_PALETTE, *_COLOUR), photometric=_RCT),
    Compression(uid=_JPEG + "202", interpretations=(*_GREY_AND_PALETTE, *_COLOUR), photometric=_RCT),
    Compression(uid=_JPEG + "203", interpretations=(*_GREY, *_COLOUR), method="ISO_15444_15", photometric=_ICT),
    # §8.2.2
    Compression(uid=RLE_LOSSLESS, interpretations=(*_GREY_AND_PALETTE, *_COLOUR)),
)  # fmt: skip
COMPRESSIONS: dict[str, Compression] = {row.uid: row for row in _ROWS}


def compression(stored_uid: str, description: PixelDescription | None, target_uid: str) -> Compression | None:
    """The row by which an image stored so may be sent in `target_uid`; None when it may not."""
    stored, row = lookup(stored_uid), COMPRESSIONS.get(target_uid)
    if stored is None or not stored.decodable or row is None or description is None:
        return None
    photometric = description.photometric_interpretation
    if stored.encapsulated:
        photometric = decoded_photometric_interpretation(stored_uid, photometric)
    return row if row.holds(description, photometric) else None


@lru_cache(maxsize=4096)
def producible(stored_uid: str, description: PixelDescription | None) -> tuple[str, ...]:
    """Every transfer syntax that an instance stored so can be converted to for the web; a `*` finds none of them."""
    stored = lookup(stored_uid)
    if stored is None or not stored.decodable:
        return ()
    compressed = (uid for uid in COMPRESSIONS if compression(stored_uid, description, uid) is not None)
    return (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, *compressed)
