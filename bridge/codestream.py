"""What codestreams say of themselves: JPEG, JPEG-LS, JPEG 2000 (ISO 10918-1 B.2, 14495-1 C.2, 15444-1 A). Pure.

Read from the first bytes, before anything is allocated for an image; nothing is decoded.
"""

from __future__ import annotations

_SOS = 0xDA


class NoImage(ValueError):
    """One sentence: why there is no image to be found in these bytes."""


class JpegHeader:
    """What the marker segments of a JPEG or JPEG-LS stream say. Raises NoImage."""

    _FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7))

    def __init__(self, stream: bytes) -> None:
        self.adobe_transform: int | None = None
        self.is_jfif = False  # then three components are YCbCr (ISO 10918-5 §10.2)
        self._stream = stream
        position = 2
        while True:
            self.marker, position, segment = self._segment(position)
            if self.marker == 0xEE and segment[:5] == b"Adobe" and len(segment) >= 12:
                self.adobe_transform = segment[11]
            self.is_jfif = self.is_jfif or (self.marker == 0xE0 and segment[:5] == b"JFIF\0")
            if self.marker in self._FRAMES and len(segment) >= 6:
                break
            position += 4 + len(segment)
        self.position = position
        self.lossless = self.marker in (0xC3, 0xC7, 0xCB, 0xCF)
        self.precision = segment[0]
        self.rows = int.from_bytes(segment[1:3], "big")
        self.columns = int.from_bytes(segment[3:5], "big")
        self.components = segment[5]
        self._parameters = segment[6:]

    @property
    def component_ids(self) -> bytes:
        """The identifier of each component."""
        return self._parameters[0 : 3 * self.components : 3]

    @property
    def is_subsampled(self) -> bool:
        """Whether components share samples among pixels."""
        return len(set(self._parameters[1 : 3 * self.components : 3])) > 1

    def scan_parameter(self) -> int:
        """Of the first scan: the predictor of lossless JPEG, the greatest error of JPEG-LS. Raises NoImage."""
        position = self.position
        while True:
            marker, position, segment = self._segment(position)
            if marker == _SOS and segment and len(segment) > 1 + 2 * segment[0]:
                return segment[1 + 2 * segment[0]]
            position += 4 + len(segment)

    def _segment(self, position: int) -> tuple[int, int, bytes]:
        """(marker, its place, what its segment holds) of the next marker that has a segment, from `position` on."""
        while True:
            position = self._stream.find(b"\xff", position)
            if position < 0 or position + 4 > len(self._stream):
                raise NoImage("the compressed frame has no image in it")
            marker = self._stream[position + 1]
            if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:  # fill bytes and markers without a segment
                position += 1 if marker == 0xFF else 2
                continue
            length = int.from_bytes(self._stream[position + 2 : position + 4], "big")
            return marker, position, self._stream[position + 4 : position + 2 + length]


class Jpeg2000Header:
    """What the main header of a JPEG 2000 codestream says, bare or in a JP2 box. Raises NoImage."""

    def __init__(self, stream: bytes) -> None:
        self.start = stream.find(b"\xff\x4f\xff\x51")  # of the bare codestream
        size = stream[self.start + 6 : self.start + 43]
        if self.start < 0 or len(size) < 37:
            raise NoImage("the compressed frame has no image in it")
        right, bottom, left, top = (int.from_bytes(size[at : at + 4], "big") for at in (2, 6, 10, 14))
        self.rows, self.columns = bottom - top, right - left
        self.components = int.from_bytes(size[34:36], "big")
        self.precision, self.signed = (size[36] & 0x7F) + 1, bool(size[36] & 0x80)
        self.high_throughput = bool(size[0] & 0x40)  # Rsiz of ISO 15444-15
        coding = stream[stream.find(b"\xff\x52", self.start) :][:14]
        self.transformed = len(coding) == 14 and coding[8] == 1  # colour
        self.reversible = len(coding) == 14 and coding[13] == 1
