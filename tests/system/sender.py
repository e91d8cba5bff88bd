"""A modality that keeps trying: sends files over several associations and remembers which were acknowledged."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import warnings
from pathlib import Path

import pydicom
from pynetdicom import AE
from pynetdicom.association import Association

STATUS_SUCCESS = 0x0000
RECONNECT_S = 0.2


class Sender:
    """Sends `paths` over `associations` associations in the background, reconnecting whenever the peer goes away."""

    def __init__(self, port: int, paths: list[Path], *, associations: int = 4) -> None:
        self._port = port
        self._waiting = list(reversed(paths))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged: dict[str, Path] = {}  # SOP Instance UID -> file
        self.statuses: list[int] = []
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(associations)]

    def __enter__(self) -> Sender:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends; connections that the peer's death reset are collected here (pynetdicom never closes their sockets)."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        for connection in self._sockets:
            connection.close()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "unclosed", ResourceWarning)
            gc.collect()

    @property
    def done(self) -> bool:
        """Whether every file was acknowledged."""
        with self._lock:
            return not self._waiting and all(not thread.is_alive() for thread in self._threads)

    def wait(self, timeout_s: float = 120.0) -> None:
        """Wait until every thread has nothing left to send."""
        for thread in self._threads:
            thread.join(timeout_s)
            assert not thread.is_alive(), "the sender is stuck"

    def _run(self) -> None:
        association: Association | None = None
        while not self._stop.is_set():
            with self._lock:
                path = self._waiting.pop() if self._waiting else None
            if path is None:
                break
            association = self._deliver(path, association)
        if association is not None and association.is_established:
            with contextlib.suppress(Exception):
                association.release()

    def _deliver(self, path: Path, association: Association | None) -> Association | None:
        """Send one file until it is acknowledged or refused for good."""
        instance = pydicom.dcmread(path)
        while not self._stop.is_set():
            if association is None or not association.is_established:
                association = self._connect(instance)
                if association is None:
                    self._stop.wait(RECONNECT_S)
                    continue
            status = self._send(association, instance)
            if status is None:
                association.abort()
                association = None
                continue
            with self._lock:
                self.statuses.append(status)
                if status == STATUS_SUCCESS:
                    self.acknowledged[str(instance.SOPInstanceUID)] = path
                    return association
            self._stop.wait(RECONNECT_S)  # 0xA700: the sender tries again, as a modality does
        return association

    def _connect(self, instance: pydicom.Dataset) -> Association | None:
        entity = AE("SENDER")
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        entity.add_requested_context(instance.SOPClassUID, [instance.file_meta.TransferSyntaxUID])
        association = entity.associate("127.0.0.1", self._port)
        transport = association.dul.socket
        if transport is not None and transport.socket is not None:
            self._sockets.append(transport.socket)
        return association if association.is_established else None

    @staticmethod
    def _send(association: Association, instance: pydicom.Dataset) -> int | None:
        try:
            answer = association.send_c_store(instance)
        except (RuntimeError, OSError, ValueError):
            return None
        return int(answer.Status) if "Status" in answer else None
