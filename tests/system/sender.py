"""A modality that keeps trying: sends files over several associations and remembers which were acknowledged.

It speaks through the tests' own raw peer: it is quick, closes what it opens, and sends the bytes of a file as they are.
"""

from __future__ import annotations

import threading
from pathlib import Path

from bridge.part10 import FileMeta, read_preamble
from tests.scp.wire import COMMAND, DATA, Peer, message, store

STATUS_SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
RETRY_S = 0.2
FRAGMENT_BYTES = 65536
PATIENCE_S = 60.0


class Sender:
    """Sends `paths` over `associations` associations in the background, reconnecting whenever the peer goes away."""

    def __init__(self, port: int, paths: list[Path], *, associations: int = 4) -> None:
        self._port = port
        self._waiting = list(reversed(paths))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged: dict[str, Path] = {}  # SOP Instance UID -> file
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(associations)]

    def __enter__(self) -> Sender:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait(self, timeout_s: float = 120.0) -> None:
        """Wait until every thread has nothing left to send."""
        for thread in self._threads:
            thread.join(timeout_s)
            assert not thread.is_alive(), "the sender is stuck"

    def _run(self) -> None:
        peer: Peer | None = None
        while not self._stop.is_set():
            with self._lock:
                path = self._waiting.pop() if self._waiting else None
            if path is None:
                break
            peer = self._deliver(path, peer)
        if peer is not None:
            peer.socket.close()

    def _deliver(self, path: Path, peer: Peer | None) -> Peer | None:
        """Send one file until it is acknowledged; the association is kept for the next one."""
        content = path.read_bytes()
        meta = read_preamble(content)
        while not self._stop.is_set():
            try:
                peer = peer or self._connect(meta)
                if self._send(peer, meta, content[meta.data_set_offset :]):
                    with self._lock:
                        self.acknowledged[meta.media_storage_sop_instance_uid] = path
                    return peer
            except (OSError, EOFError, AssertionError):  # the bridge went away in the middle, or is not there yet
                if peer is not None:
                    peer.socket.close()
                peer = None
            self._stop.wait(RETRY_S)  # after 0xA700 too: try again, as a modality does
        return peer

    def _connect(self, meta: FileMeta) -> Peer:
        peer = Peer(("127.0.0.1", self._port))
        peer.socket.settimeout(PATIENCE_S)
        try:
            peer.associate((3, meta.media_storage_sop_class_uid, (meta.transfer_syntax_uid,)))
        except BaseException:
            peer.socket.close()
            raise
        return peer

    def _send(self, peer: Peer, meta: FileMeta, data_set: bytes) -> bool:
        """Whether the instance was acknowledged with Success."""
        sop = meta.media_storage_sop_instance_uid
        peer.send(message(3, COMMAND, store(sop, sop_class=meta.media_storage_sop_class_uid)))
        peer.send(message(3, DATA, data_set, fragment_bytes=FRAGMENT_BYTES))
        status = peer.status()
        with self._lock:
            self.statuses.append(status)
        if status not in (STATUS_SUCCESS, OUT_OF_RESOURCES):
            raise RuntimeError(f"refused for good with 0x{status:04X}")
        return status == STATUS_SUCCESS
