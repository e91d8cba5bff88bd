"""THE table of transfer syntaxes (PS3.6 Table A-1, PS3.5 §10, Annex A): how each encodes, what a frame is on the web.

Frame media types are those of PS3.18 Tables 8.7.3-4 and 8.7.3-5; HTJ2K frames are bare codestreams, hence image/jphc.
Retired syntaxes are kept: an archive stores what it is sent and tells the truth about it. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

OCTETS = "application/octet-stream"

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"
_JPEG = "1.2.840.10008.1.2.4."


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSyntax:
    """How a data set of this syntax is encoded.

    `lossy`: the pixels may have lost something against the original. `decodable`: our codecs turn its frames into
    native ones. `media_type`: of one frame as stored, or of the whole video; "" where no frame can be taken out.
    """

    uid: str
    name: str
    explicit: bool = True
    big_endian: bool = False
    big_endian_pixels: bool = False  # only the words of pixel data are big endian
    deflated: bool = False  # the whole data set (PS3.5 A.5)
    encapsulated: bool = False  # pixel data in fragments (PS3.5 A.4)
    lossy: bool = False
    media_type: str = OCTETS
    decodable: bool = True
    video: bool = False
    referenced: bool = False  # pixels live at another server (PS3.5 A.6, A.7)
    retired: bool = False

    @property
    def native(self) -> bool:
        """True when pixel data is not compressed frame by frame and lies in the data set itself."""
        return not self.encapsulated and not self.referenced


def _compressed(
    uid: str, name: str, media_type: str, *, lossy: bool = False, decodable: bool = True, retired: bool = False
) -> TransferSyntax:
    return TransferSyntax(
        uid=uid, name=name, encapsulated=True, lossy=lossy, media_type=media_type, decodable=decodable, retired=retired
    )


def _video(suffix: str, name: str, media_type: str) -> TransferSyntax:
    return TransferSyntax(
        uid=_JPEG + suffix, name=name, encapsulated=True, lossy=True, media_type=media_type, decodable=False, video=True
    )


def _referenced(suffix: str, name: str, *, deflated: bool = False) -> TransferSyntax:
    return TransferSyntax(
        uid=_JPEG + suffix, name=name, deflated=deflated, media_type="", decodable=False, referenced=True
    )


def _progressive(suffix: str, name: str) -> TransferSyntax:
    """Retired Huffman processes that every JPEG codec still reads."""
    return _compressed(_JPEG + suffix, name, "image/jpeg", lossy=True, retired=True)


def _arithmetic_or_hierarchical(suffix: str, name: str, *, lossy: bool = True) -> TransferSyntax:
    """Retired JPEG processes that no maintained codec reads; kept and sent as stored only."""
    return _compressed(_JPEG + suffix, name, "image/jpeg", lossy=lossy, decodable=False, retired=True)


def _without_frames(uid: str, name: str, *, explicit: bool = True, retired: bool = False) -> TransferSyntax:
    """Syntaxes that are no plain data set with frames: kept as they are."""
    return TransferSyntax(uid=uid, name=name, explicit=explicit, media_type="", decodable=False, retired=retired)


_ROWS = (
    # PS3.5 A.1, A.2, A.3, A.5
    TransferSyntax(uid=IMPLICIT_VR_LITTLE_ENDIAN, name="Implicit VR Little Endian", explicit=False),
    TransferSyntax(uid=EXPLICIT_VR_LITTLE_ENDIAN, name="Explicit VR Little Endian"),
    TransferSyntax(uid=DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, name="Deflated Explicit VR Little Endian", deflated=True),
    TransferSyntax(uid=EXPLICIT_VR_BIG_ENDIAN, name="Explicit VR Big Endian", big_endian=True, retired=True),
    _compressed(ENCAPSULATED_UNCOMPRESSED, "Encapsulated Uncompressed Explicit VR Little Endian", OCTETS),
    # private, but in every archive that is old enough
    TransferSyntax(
        uid=GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS,
        name="GE Private Implicit VR Big Endian",
        explicit=False,
        big_endian_pixels=True,
        retired=True,
    ),
    # PS3.5 A.4.1, JPEG (ISO 10918-1)
    _compressed(_JPEG + "50", "JPEG Baseline (Process 1)", "image/jpeg", lossy=True),
    _compressed(_JPEG + "51", "JPEG Extended (Process 2 and 4)", "image/jpeg", lossy=True),
    _arithmetic_or_hierarchical("52", "JPEG Extended (Process 3 and 5)"),
    _progressive("53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
    _arithmetic_or_hierarchical("54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)"),
    _progressive("55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)"),
    _arithmetic_or_hierarchical("56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)"),
    _compressed(_JPEG + "57", "JPEG Lossless, Non-Hierarchical (Process 14)", "image/jpeg"),
    _arithmetic_or_hierarchical("58", "JPEG Lossless, Non-Hierarchical (Process 15)", lossy=False),
    _arithmetic_or_hierarchical("59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
    _arithmetic_or_hierarchical("60", "JPEG Extended, Hierarchical (Process 17 and 19)"),
    _arithmetic_or_hierarchical("61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"),
    _arithmetic_or_hierarchical("62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"),
    _arithmetic_or_hierarchical("63", "JPEG Full Progression, Hierarchical (Process 24 and 26)"),
    _arithmetic_or_hierarchical("64", "JPEG Full Progression, Hierarchical (Process 25 and 27)"),
    _arithmetic_or_hierarchical("65", "JPEG Lossless, Hierarchical (Process 28)", lossy=False),
    _arithmetic_or_hierarchical("66", "JPEG Lossless, Hierarchical (Process 29)", lossy=False),
    _compressed(_JPEG + "70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction", "image/jpeg"),
    # PS3.5 A.4.3, JPEG-LS (ISO 14495-1)
    _compressed(_JPEG + "80", "JPEG-LS Lossless Image Compression", "image/jls"),
    _compressed(_JPEG + "81", "JPEG-LS Lossy (Near-Lossless) Image Compression", "image/jls", lossy=True),
    # PS3.5 A.4.4, JPEG 2000 (ISO 15444-1, -2)
    _compressed(_JPEG + "90", "JPEG 2000 Image Compression (Lossless Only)", "image/jp2"),
    _compressed(_JPEG + "91", "JPEG 2000 Image Compression", "image/jp2", lossy=True),
    _compressed(_JPEG + "92", "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)", "image/jpx"),
    _compressed(_JPEG + "93", "JPEG 2000 Part 2 Multi-component Image Compression", "image/jpx", lossy=True),
    # PS3.5 A.6, A.7
    _referenced("94", "JPIP Referenced"),
    _referenced("95", "JPIP Referenced Deflate", deflated=True),
    # PS3.5 A.4.5 to A.4.9
    _video("100", "MPEG2 Main Profile / Main Level", "video/mpeg2"),
    _video("100.1", "Fragmentable MPEG2 Main Profile / Main Level", "video/mpeg2"),
    _video("101", "MPEG2 Main Profile / High Level", "video/mpeg2"),
    _video("101.1", "Fragmentable MPEG2 Main Profile / High Level", "video/mpeg2"),
    _video("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "video/mp4"),
    _video("102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", "video/mp4"),
    _video("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "video/mp4"),
    _video("103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "video/mp4"),
    _video("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "video/mp4"),
    _video("104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "video/mp4"),
    _video("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "video/mp4"),
    _video("105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "video/mp4"),
    _video("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "video/mp4"),
    _video("106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "video/mp4"),
    _video("107", "HEVC/H.265 Main Profile / Level 5.1", "video/H265"),
    _video("108", "HEVC/H.265 Main 10 Profile / Level 5.1", "video/H265"),
    # PS3.5 A.4.12, JPEG XL (ISO 18181-1)
    _compressed(_JPEG + "110", "JPEG XL Lossless", "image/jxl"),
    _compressed(_JPEG + "111", "JPEG XL JPEG Recompression", "image/jxl", lossy=True),
    _compressed(_JPEG + "112", "JPEG XL", "image/jxl", lossy=True),
    # PS3.5 A.4.11, High-Throughput JPEG 2000 (ISO 15444-15)
    _compressed(_JPEG + "201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)", "image/jphc"),
    _compressed(
        _JPEG + "202", "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", "image/jphc"
    ),
    _compressed(_JPEG + "203", "High-Throughput JPEG 2000 Image Compression", "image/jphc", lossy=True),
    _referenced("204", "JPIP HTJ2K Referenced"),
    _referenced("205", "JPIP HTJ2K Referenced Deflate", deflated=True),
    # PS3.5 A.4.2 and Annex G; A.4.13
    _compressed(RLE_LOSSLESS, "RLE Lossless", "image/dicom-rle"),
    _compressed(DEFLATED_IMAGE_FRAME, "Deflated Image Frame Compression", "application/x-deflate"),
    # RFC 2557 and XML wrappers, real-time video (PS3.22), Papyrus: never a file with frames of ours
    _without_frames("1.2.840.10008.1.2.6.1", "RFC 2557 MIME encapsulation", retired=True),
    _without_frames("1.2.840.10008.1.2.6.2", "XML Encoding", retired=True),
    _without_frames("1.2.840.10008.1.2.7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video"),
    _without_frames("1.2.840.10008.1.2.7.2", "SMPTE ST 2110-20 Uncompressed Interlaced Active Video"),
    _without_frames("1.2.840.10008.1.2.7.3", "SMPTE ST 2110-30 PCM Digital Audio"),
    _without_frames("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", explicit=False, retired=True),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {row.uid: row for row in _ROWS}

# Every transfer syntax whose data sets can be kept: a whole data set, with its pixels in it.
STORABLE: dict[str, TransferSyntax] = {uid: row for uid, row in TRANSFER_SYNTAXES.items() if row.media_type}


def lookup(uid: str) -> TransferSyntax | None:
    """The row of a transfer syntax, or None for a private or unknown one (such objects are only sent as stored)."""
    return TRANSFER_SYNTAXES.get(uid)
