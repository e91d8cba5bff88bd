"""A codec worker: a process of its own that takes one frame after another, so that no codec can take a door down.

Started as `python -m bridge.pixel_worker MEMORY_LIMIT_BYTES IDLE_EXIT_S` with a socket as standard input. It ends when
the socket closes or nothing came for a while.
"""

from __future__ import annotations

import resource
import socket
import sys

from bridge.decoders import Undecodable, decode
from bridge.encoders import Unencodable, encode
from bridge.pixel_job import READY, Job, receive_job, send_answer
from bridge.rendering.drawing import Drawing, draw
from bridge.rendering.refusal import Unpaintable
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN


def main(memory_limit_bytes: int, idle_exit_s: float) -> None:
    """Serve jobs until the pool is gone or idle."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_limit_bytes, memory_limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=0) as connection:
        connection.sendall(READY)
        while True:
            connection.settimeout(idle_exit_s)
            try:
                job, codestream = receive_job(connection)
            except (EOFError, OSError):
                return
            connection.settimeout(None)
            try:
                frame, done = _done(job, codestream), True
            except (Undecodable, Unencodable, Unpaintable) as error:
                frame, done = str(error).encode(), False
            except MemoryError:
                frame, done = b"the frame needs more memory than a codec worker may use", False
            try:
                send_answer(connection, done=done, body=frame)
            except OSError:
                return


def _done(job: Job, frame: bytes | bytearray) -> bytes:
    """The frame decoded, encoded or drawn; one to be drawn may come native, as Explicit VR Little Endian."""
    if job.drawing:
        is_native = job.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
        return draw(bytes(frame) if is_native else decode(job, frame), Drawing.from_json(job.drawing))
    native = decode(job, frame)
    return encode(job, native) if job.target_uid else native


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
