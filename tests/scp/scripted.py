"""A peer on a raw socket that does as it is told, wrongly for the most part."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 10.0

Script = Callable[[socket.socket], None]


@contextmanager
def scripted(script: Script) -> Iterator[int]:
    """A listener that plays the script to the first who connects; yields its port."""

    def run() -> None:
        connection, _ = listening.accept()
        with connection:
            script(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def saying(answer: bytes) -> Script:
    """Answer the first message like this, and wait for the other side to say or do something."""

    def script(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(answer)
        connection.recv(1 << 16)

    return script
