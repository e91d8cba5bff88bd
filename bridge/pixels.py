"""Codecs in a bounded pool of our own: spawned workers, one job each, with a deadline and a memory limit.

A worker that crashes or hangs is killed and replaced alone; the job gets a refusal, the door lives on. Workers start
with the first job and leave when idle; a job that finds the others idle has their cores too. Thread-safe;
`bridge.decoders` and `bridge.encoders` are never imported here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bridge.ahead import in_order
from bridge.errors import NotAcceptable, Unavailable
from bridge.frames import PixelDescription
from bridge.pixel_job import Job, receive, receive_answer_head, send_job
from bridge.settings import Pixels

_ROOT = Path(__file__).parents[1]
_EXIT_GRACE_S = 10.0  # a worker leaves by itself this long after the pool has stopped using it
_START_LIMIT_S = 60.0  # loading the codecs does not count against a frame's deadline
_ATTEMPTS = 2  # a worker may be killed from outside; a frame that kills two is to blame itself


class PixelPool:
    """Decodes and encodes frames in worker processes."""

    def __init__(self, settings: Pixels) -> None:
        self._settings = settings
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(settings.workers)
        self._waiting = 0
        self._cores = min(settings.workers, os.cpu_count() or 1)
        self._cores_taken = 0
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None

    def decode(self, codestream: bytes, description: PixelDescription, transfer_syntax_uid: str) -> bytes:
        """One frame as native little-endian bytes, samples interleaved (planar configuration 0).

        Exactly Rows x Columns x Samples x BitsAllocated / 8 bytes. Raises NotAcceptable for a stream that cannot be
        decoded within its limits, Unavailable when too many wait already.
        """
        return self._run(self._job(description, transfer_syntax_uid), codestream)

    def decode_all(
        self, codestreams: Iterable[bytes], description: PixelDescription, transfer_syntax_uid: str
    ) -> Iterator[bytes]:
        """Frames in order, as many at a time as there are workers; a stream is taken only when its turn is near."""
        return self._run_all(self._job(description, transfer_syntax_uid), codestreams)

    def encode_all(
        self, frames: Iterable[bytes], description: PixelDescription, transfer_syntax_uid: str, target_uid: str
    ) -> Iterator[bytes]:
        """Frames as codestreams of `target_uid`, in order; they come as codestreams of `transfer_syntax_uid`, or native
        where that is Explicit VR Little Endian. Raises as `decode` does.
        """
        return self._run_all(self._job(description, transfer_syntax_uid, target_uid), frames)

    def draw(self, codestream: bytes, description: PixelDescription, transfer_syntax_uid: str, drawing: str) -> bytes:
        """One frame, native where the syntax is Explicit VR Little Endian, as a picture file (`bridge.rendering`).

        Raises as `decode` does.
        """
        return self._run(replace(self._job(description, transfer_syntax_uid), drawing=drawing), codestream)

    def draw_all(
        self, frames: Iterable[tuple[bytes, str]], description: PixelDescription, transfer_syntax_uid: str
    ) -> Iterator[bytes]:
        """Pictures of (codestream, drawing) in order, as many at a time as there are workers. Raises as `decode`."""
        job, threads = self._job(description, transfer_syntax_uid), self._executor()
        drawn = (threads.submit(self._run, replace(job, drawing=drawing), stream) for stream, drawing in frames)
        return in_order(drawn, self._settings.workers)

    def _run(self, job: Job, frame: bytes) -> bytes:
        with self._slot(), self._cores_for(job) as threads:
            job = replace(job, threads=threads)
            for _ in range(_ATTEMPTS):
                worker = self._take()
                try:
                    done, body = worker.run(job, frame, self._settings.deadline_s)
                except TimeoutError:
                    self._end(worker)
                    limit = f"{self._settings.deadline_s:g} s"
                    verb = "encoding" if job.target_uid else "decoding"
                    raise NotAcceptable(f"{verb} the frame took longer than {limit}") from None
                except (EOFError, OSError):
                    self._end(worker)
                    continue
                except BaseException:
                    self._end(worker)
                    raise
                self._give_back(worker)
                if not done:
                    raise NotAcceptable(body.decode())
                return body
        raise NotAcceptable("the codec crashed on this frame")

    def _run_all(self, job: Job, frames: Iterable[bytes]) -> Iterator[bytes]:
        threads = self._executor()
        return in_order((threads.submit(self._run, job, frame) for frame in frames), self._settings.workers)

    def _executor(self) -> ThreadPoolExecutor:
        if self._threads is None:
            with self._lock:
                self._threads = self._threads or ThreadPoolExecutor(self._settings.workers, "pixels")
        return self._threads

    @property
    def process_ids(self) -> list[int]:
        """The workers that live now, idle and busy."""
        with self._lock:
            return [worker.process.pid for worker in self._workers]

    def close(self) -> None:
        """Stop every worker that is idle; busy ones stop when their job ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            self._end(worker)
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def _job(self, description: PixelDescription, transfer_syntax_uid: str, target_uid: str = "") -> Job:
        job = Job(
            transfer_syntax_uid=transfer_syntax_uid,
            target_uid=target_uid,
            rows=description.rows,
            columns=description.columns,
            samples_per_pixel=description.samples_per_pixel,
            bits_allocated=description.bits_allocated,
            bits_stored=description.bits_stored,
            pixel_representation=description.pixel_representation,
            photometric_interpretation=description.photometric_interpretation,
            planar_configuration=description.planar_configuration,
        )
        if not 0 < job.frame_bytes <= self._settings.frame_limit_bytes:
            raise NotAcceptable(f"a decoded frame would have {job.frame_bytes} bytes, which is beyond the limit")
        return job

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        with self._lock:
            if self._waiting >= self._settings.queue_limit + self._settings.workers:
                raise Unavailable("too many frames wait for a codec worker")
            self._waiting += 1
        try:
            with self._slots:
                yield
        finally:
            with self._lock:
                self._waiting -= 1

    @contextlib.contextmanager
    def _cores_for(self, job: Job) -> Iterator[int]:
        """How many threads the job may have: one, and the cores that neither running nor queued jobs have use for."""
        with self._lock:
            idle = self._cores - max(self._cores_taken, self._waiting - 1)
            threads = max(1, idle) if job.gains_by_threads else 1
            self._cores_taken += threads
        try:
            yield threads
        finally:
            with self._lock:
                self._cores_taken -= threads

    def _take(self) -> _Worker:
        """The worker used last, so that the others may leave; or a new one."""
        stale_before = time.monotonic() - self._settings.idle_exit_s
        with self._lock:
            stale = [worker for worker in self._idle if worker.idle_since < stale_before]
            self._idle = [worker for worker in self._idle if worker.idle_since >= stale_before]
            worker = self._idle.pop() if self._idle else None
        for old in stale:
            self._end(old)
        if worker is None:
            worker = _Worker(self._settings.memory_limit_bytes, self._settings.idle_exit_s + _EXIT_GRACE_S)
            with self._lock:
                self._workers.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        worker.idle_since = time.monotonic()
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        self._end(worker)

    def _end(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.kill()


def decoded_frame_bits(description: PixelDescription) -> int:
    """The size of one decoded frame in bits: every pixel has all its samples."""
    return description.rows * description.columns * description.samples_per_pixel * description.bits_allocated


class _Worker:
    """One worker process and our end of its socket."""

    def __init__(self, memory_limit_bytes: int, idle_exit_s: float) -> None:
        self.connection, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own module, numbers from the settings
                [sys.executable, "-m", "bridge.pixel_worker", str(memory_limit_bytes), str(idle_exit_s)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # codecs write their opinions there
                cwd=_ROOT,
                process_group=0,  # a Ctrl-C in the terminal is for the doors, which finish what they are sending
            )
        self.idle_since = time.monotonic()
        self._ready = False

    def run(self, job: Job, frame: bytes, deadline_s: float) -> tuple[bool, bytes]:
        """(done?, frame or sentence). TimeoutError at the deadline, EOFError or OSError when the worker died."""
        if not self._ready:
            self.connection.settimeout(_START_LIMIT_S)
            receive(self.connection, 1)
            self._ready = True
        deadline = time.monotonic() + deadline_s
        self.connection.settimeout(deadline_s)
        send_job(self.connection, job, frame)
        self.connection.settimeout(max(0.001, deadline - time.monotonic()))
        done, size = receive_answer_head(self.connection)
        if done and not job.drawing and not job.target_uid and size != job.frame_bytes:
            raise EOFError("the worker answered with another frame")
        return done, bytes(receive(self.connection, size))

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
