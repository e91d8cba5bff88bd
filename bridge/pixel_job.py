"""One frame's job on its way to a codec worker and back: length-prefixed messages on a socket. Standard library only.

What a frame looks like once decoded is a fact of the codec, so it stands here, known to both sides.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import asdict, dataclass

READY = b"\1"  # a worker's first word
_HEAD = struct.Struct(">IQ")  # size of the job's JSON, size of the codestream
_ANSWER = struct.Struct(">BQ")  # 1 when done, 0 when refused; size of what follows

# Codecs that undo the colour transform of their stream (PS3.5 §8.2.1, §8.2.4, A.4.12): lossy JPEG, JPEG 2000, JPEG XL
_LOSSY_JPEG = frozenset("1.2.840.10008.1.2.4." + suffix for suffix in ("50", "51", "53", "55"))
_JPEG_XL = frozenset("1.2.840.10008.1.2.4." + suffix for suffix in ("110", "111", "112"))
_JPEG_2000 = frozenset("1.2.840.10008.1.2.4." + suffix for suffix in ("90", "91", "92", "93"))
_SHARED_CHROMINANCE = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"})

# Samples of a frame from which on a second thread gains more than it costs to start: codec -> as source, as target
_SHARED_FROM = ((_JPEG_2000, 1 << 16, 1 << 16), (_JPEG_XL, 1 << 18, 1 << 19))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker must know of a frame: the Image Pixel Module (PS3.3 §C.7.6.3), the syntax it comes in (Explicit VR
    Little Endian: native) and the one it shall be encoded in, "" for native.
    """

    transfer_syntax_uid: str
    target_uid: str = ""
    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    pixel_representation: int
    photometric_interpretation: str
    planar_configuration: int = 0  # of a frame that comes native
    drawing: str = ""  # bridge.rendering: the frame is wanted as a picture, not as it is
    threads: int = 1  # that the codec may use

    @property
    def frame_bytes(self) -> int:
        """The exact size of the decoded frame."""
        return (self.rows * self.columns * self.samples_per_pixel * self.bits_allocated + 7) // 8

    @property
    def gains_by_threads(self) -> bool:
        """Whether a codec of this job is sooner done with two threads."""
        samples = self.rows * self.columns * self.samples_per_pixel
        return any(
            (self.transfer_syntax_uid in codec and samples >= decoding)
            or (self.target_uid in codec and samples >= encoding)
            for codec, decoding, encoding in _SHARED_FROM
        )


def decoded_photometric_interpretation(transfer_syntax_uid: str, photometric_interpretation: str) -> str:
    """The PhotometricInterpretation of a frame once decoded (PS3.3 §C.7.6.3.1.2)."""
    if photometric_interpretation in ("YBR_RCT", "YBR_ICT", "XYB"):
        return "RGB"
    undone = transfer_syntax_uid in _LOSSY_JPEG or transfer_syntax_uid in _JPEG_XL
    if undone and photometric_interpretation.startswith("YBR_"):
        return "RGB"
    if photometric_interpretation in _SHARED_CHROMINANCE:
        return "YBR_FULL"  # every pixel has its own chrominance once decoded
    return photometric_interpretation


def send_job(connection: socket.socket, job: Job, codestream: bytes) -> None:
    """Hand a job and its frame to a worker."""
    text = json.dumps(asdict(job)).encode()
    connection.sendall(_HEAD.pack(len(text), len(codestream)) + text)
    connection.sendall(codestream)


def receive_job(connection: socket.socket) -> tuple[Job, bytearray]:
    """Wait for a job. Raises EOFError when the other side is gone, TimeoutError after the socket's timeout."""
    text_bytes, codestream_bytes = _HEAD.unpack(receive(connection, _HEAD.size))
    job = Job(**json.loads(receive(connection, text_bytes)))
    return job, receive(connection, codestream_bytes)


def send_answer(connection: socket.socket, *, done: bool, body: bytes) -> None:
    """Hand back a frame, or one sentence saying why there is none."""
    connection.sendall(_ANSWER.pack(done, len(body)))
    connection.sendall(body)


def receive_answer_head(connection: socket.socket) -> tuple[bool, int]:
    """(done?, size of the body that follows)."""
    done, size = _ANSWER.unpack(receive(connection, _ANSWER.size))
    return bool(done), size


def receive(connection: socket.socket, size: int) -> bytearray:
    """Exactly `size` bytes. Raises EOFError when the other side is gone."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        taken = connection.recv_into(view)
        if not taken:
            raise EOFError("the other side closed the connection")
        view = view[taken:]
    return buffer
