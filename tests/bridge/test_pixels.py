"""The codec pool: every codec bit by bit, and nothing a stream can do takes the pool down."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom.data
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from bridge.errors import BridgeError, InvalidInstance, NotAcceptable, Unavailable
from bridge.part10 import read_preamble
from bridge.pixel_job import Job, decoded_photometric_interpretation, send_job
from bridge.pixels import PixelPool
from bridge.settings import Pixels
from bridge.syntaxes import TRANSFER_SYNTAXES
from tests.bridge.frames_of import JPEG, LOSSLESS, RLE, described, encoded, image
from tests.bridge.objects import Stored
from tests.conftest import Dcmtk

J2K = JPEG + "90"
COMPRESSED = [uid for uid, row in TRANSFER_SYNTAXES.items() if row.encapsulated and row.decodable]


@pytest.fixture(scope="module")
def pool() -> Iterator[PixelPool]:
    made = PixelPool(Pixels(workers=1))
    yield made
    made.close()


def until(condition: Callable[[], object], deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.005)


def slow_stream() -> tuple[bytes, object]:
    """A codestream that keeps a codec busy for a second or so."""
    noise = np.random.default_rng(1).integers(0, 65536, (2048, 2048), np.uint16)
    return encoded(noise, J2K), noise


@pytest.mark.parametrize("uid", LOSSLESS)
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u1 colour"])
def test_lossless_frames_come_back_bit_by_bit(pool: PixelPool, uid: str, kind: str) -> None:
    pixels = image(kind[:2], colour="colour" in kind)
    assert pool.decode(encoded(pixels, uid), described(pixels), uid) == pixels.tobytes()


@pytest.mark.parametrize("uid", [uid for uid in COMPRESSED if TRANSFER_SYNTAXES[uid].lossy])
def test_lossy_frames_come_back_close(pool: PixelPool, uid: str) -> None:
    pixels = image("u1")
    if uid == JPEG + "51":
        pixels = pixels.astype("u2") * 16
    frame = np.frombuffer(pool.decode(encoded(pixels, uid), described(pixels), uid), pixels.dtype)
    assert np.abs(frame.astype(int) - pixels.ravel().astype(int)).max() <= (64 if uid == JPEG + "51" else 8)


def test_every_syntax_that_is_called_decodable_has_a_codec(pool: PixelPool) -> None:
    for uid in COMPRESSED:
        with pytest.raises(NotAcceptable) as refusal:
            pool.decode(b"rubbish", described(image("u1")), uid)
        assert "no codec" not in str(refusal.value)


DCMTK_TOOLS = {
    **dict.fromkeys((JPEG + suffix for suffix in ("50", "51", "57", "70")), "dcmdjpeg"),
    **dict.fromkeys((JPEG + suffix for suffix in ("80", "81")), "dcmdjpls"),
    RLE: "dcmdrle",
}
DCMTK_LOSSY_DIFFERENCE = 2  # of 255: rounding in the colour transform and in the upsampling of chrominance


def dcmtk_files() -> list[Path]:
    import data_store

    shared = Path(__file__).parents[3] / "shared" / "data" / "variety"
    roots = [Path(pydicom.data.__file__).parent / "test_files", Path(data_store.__file__).parent, shared]
    heads = [(path, path.read_bytes()) for root in roots for path in sorted(root.rglob("*.dcm"))]
    return [path for path, head in heads if head[128:132] == b"DICM" and len(head) < 4 << 20 and _tool(head)]


def _tool(head: bytes) -> str | None:
    try:
        return DCMTK_TOOLS.get(read_preamble(head).transfer_syntax_uid)
    except InvalidInstance:
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", dcmtk_files(), ids=lambda path: path.name[-60:])
def test_real_files_decode_as_dcmtk_decodes_them(pool: PixelPool, dcmtk: Dcmtk, tmp_path: Path, path: Path) -> None:
    stored = Stored(path.read_bytes())
    uid, tool = stored.meta.transfer_syntax_uid, _tool(stored.data)
    assert tool is not None
    out = tmp_path / "out.dcm"
    if dcmtk.run(tool, path, out).returncode:
        pytest.skip("DCMTK does not decode this file")
    wanted = pydicom.dcmread(out)
    try:
        ours = stored.read_back(ExplicitVRLittleEndian, pool)
    except BridgeError as error:
        pytest.skip(f"the archive does not decode this file: {error}")
    if wanted.PhotometricInterpretation != ours.PhotometricInterpretation:
        pytest.skip("DCMTK keeps another colour space")
    theirs, mine = wanted.pixel_array.astype(int), ours.pixel_array.astype(int)
    row = TRANSFER_SYNTAXES[uid]
    limit = DCMTK_LOSSY_DIFFERENCE if row.lossy and tool == "dcmdjpeg" else 0
    assert np.abs(theirs - mine).max() <= limit


@pytest.mark.parametrize("bits_stored", [10, 12, 13])
def test_signed_values_in_an_unsigned_stream_are_sign_extended(pool: PixelPool, bits_stored: int) -> None:
    pixels = np.arange(-(1 << bits_stored - 1), 1 << bits_stored - 1, dtype="i2").reshape(32, -1)
    low_bits = (pixels.view("u2") & ((1 << bits_stored) - 1)).astype("u2")
    stream = bytes(imagecodecs.jpeg8_encode(low_bits, lossless=True, bitspersample=bits_stored))
    description = described(pixels, bits_stored=bits_stored, high_bit=bits_stored - 1)
    assert pool.decode(stream, description, JPEG + "70") == pixels.tobytes()


def test_eight_bit_streams_fill_sixteen_bit_words(pool: PixelPool) -> None:
    pixels = image("u1")
    assert pool.decode(encoded(pixels, J2K), described(pixels.astype("u2")), J2K) == pixels.astype("<u2").tobytes()


def test_thirty_two_bits_survive_rle(pool: PixelPool) -> None:
    pixels = image("u4")
    assert pool.decode(encoded(pixels, RLE), described(pixels), RLE) == pixels.tobytes()


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_lossy_jpeg_colour_comes_out_as_rgb(pool: PixelPool, subsampling: str, photometric: str) -> None:
    pixels = image("u1", rows=64, columns=64, colour=True)
    stream = bytes(imagecodecs.jpeg8_encode(pixels, level=98, subsampling=subsampling))
    description = described(pixels, photometric_interpretation=photometric)
    frame = np.frombuffer(pool.decode(stream, description, JPEG + "50"), "u1").reshape(pixels.shape)
    assert np.abs(frame.astype(int) - pixels).max() < 24
    assert decoded_photometric_interpretation(JPEG + "50", photometric) == "RGB"


def test_jpeg_that_is_rgb_already_is_not_transformed(pool: PixelPool) -> None:
    pixels = image("u1", rows=64, columns=64, colour=True)
    stream = bytes(imagecodecs.jpeg8_encode(pixels, level=98, colorspace="RGB", outcolorspace="RGB"))
    frame = np.frombuffer(pool.decode(stream, described(pixels), JPEG + "50"), "u1").reshape(pixels.shape)
    assert np.abs(frame.astype(int) - pixels).max() < 16


@pytest.mark.parametrize(
    ("suffix", "stored", "decoded"),
    [
        ("90", "YBR_RCT", "RGB"),
        ("91", "YBR_ICT", "RGB"),
        ("201", "YBR_RCT", "RGB"),
        ("112", "XYB", "RGB"),
        ("70", "YBR_FULL", "YBR_FULL"),
        ("80", "YBR_FULL_422", "YBR_FULL"),
        ("90", "PALETTE COLOR", "PALETTE COLOR"),
        ("50", "MONOCHROME1", "MONOCHROME1"),
    ],
)
def test_the_photometric_interpretation_tells_what_was_decoded(suffix: str, stored: str, decoded: str) -> None:
    assert decoded_photometric_interpretation(JPEG + suffix, stored) == decoded


@pytest.mark.parametrize("uid", [uid for uid in LOSSLESS if uid != JPEG + "92"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.95])
def test_a_cut_stream_is_refused_and_not_filled_up(pool: PixelPool, uid: str, kept: float) -> None:
    pixels = np.random.default_rng(3).integers(0, 65536, (64, 64), np.uint16)
    stream = encoded(pixels, uid)
    with pytest.raises(NotAcceptable):
        pool.decode(stream[: int(len(stream) * kept)], described(pixels), uid)


def test_a_cut_lossy_jpeg_is_refused(pool: PixelPool) -> None:
    pixels = image("u1")
    with pytest.raises(NotAcceptable, match="cut off"):
        pool.decode(encoded(pixels, JPEG + "50")[:-40], described(pixels), JPEG + "50")


@pytest.mark.parametrize("uid", COMPRESSED)
def test_a_stream_of_another_size_is_refused(pool: PixelPool, uid: str) -> None:
    pixels = image("u1", rows=40)
    if uid == JPEG + "51":
        pixels = pixels.astype("u2")
    with pytest.raises(NotAcceptable):
        pool.decode(encoded(pixels, uid), described(image(pixels.dtype.str[1:], rows=41)), uid)


def test_more_bits_than_allocated_are_refused(pool: PixelPool) -> None:
    with pytest.raises(NotAcceptable, match="more bits"):
        pool.decode(encoded(image("u2"), J2K), described(image("u1")), J2K)


def test_hostile_dimensions_are_refused_before_anything_is_decoded() -> None:
    pool = PixelPool(Pixels())
    with pytest.raises(NotAcceptable, match="beyond the limit"):
        pool.decode(b"", described(image("u2"), rows=65535, columns=65535), J2K)
    assert pool.process_ids == []
    pool.close()


def test_a_stream_that_wants_too_much_memory_is_refused() -> None:
    pool = PixelPool(Pixels(workers=1, memory_limit_bytes=160 << 20))
    pixels = np.zeros((12000, 12000), np.uint8)
    with pytest.raises(NotAcceptable):
        pool.decode(encoded(pixels, JPEG + "80"), described(pixels), JPEG + "80")
    small = image("u2")
    assert pool.decode(encoded(small, J2K), described(small), J2K) == small.tobytes()
    pool.close()


def test_a_worker_killed_at_work_is_replaced_and_the_frame_still_comes() -> None:
    pool = PixelPool(Pixels(workers=1))
    stream, pixels = slow_stream()
    with ThreadPoolExecutor(1) as thread:
        frame = thread.submit(pool.decode, stream, described(pixels), J2K)
        until(lambda: pool.process_ids)
        killed = pool.process_ids[0]
        os.kill(killed, signal.SIGKILL)
        assert frame.result() == pixels.tobytes()
    assert killed not in pool.process_ids
    pool.close()


def test_a_frame_that_kills_every_worker_is_refused_and_the_next_is_fine() -> None:
    pool = PixelPool(Pixels(workers=1))
    stream, pixels = slow_stream()
    done = threading.Event()

    def killer() -> None:
        while not done.is_set():
            for process_id in pool.process_ids:
                os.kill(process_id, signal.SIGKILL)
            time.sleep(0.01)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        with pytest.raises(NotAcceptable, match="crashed"):
            pool.decode(stream, described(pixels), J2K)
    finally:
        done.set()
        thread.join()
    small = image("u2")
    assert pool.decode(encoded(small, RLE), described(small), RLE) == small.tobytes()
    pool.close()


def test_a_frame_past_its_deadline_is_refused_and_its_worker_is_gone() -> None:
    pool = PixelPool(Pixels(workers=1, deadline_s=0.05))
    stream, pixels = slow_stream()
    with pytest.raises(NotAcceptable, match=r"longer than 0\.05 s"):
        pool.decode(stream, described(pixels), J2K)
    assert pool.process_ids == []
    small = image("u1", rows=8, columns=8)
    assert pool.decode(encoded(small, RLE), described(small), RLE) == small.tobytes()
    pool.close()


def test_a_full_queue_is_refused_at_once() -> None:
    pool = PixelPool(Pixels(workers=1, queue_limit=0))
    stream, pixels = slow_stream()
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(pool.decode, stream, described(pixels), J2K)
        until(lambda: pool.process_ids)
        with pytest.raises(Unavailable, match="too many"):
            pool.decode(stream, described(pixels), J2K)
        assert first.result() == pixels.tobytes()
    pool.close()


def test_workers_never_outnumber_the_setting() -> None:
    pool = PixelPool(Pixels(workers=2))
    pixels = image("u2", rows=256, columns=256)
    stream = encoded(pixels, J2K)
    with ThreadPoolExecutor(8) as threads:
        frames = list(threads.map(lambda _: pool.decode(stream, described(pixels), J2K), range(24)))
    assert set(frames) == {pixels.tobytes()}
    assert len(pool.process_ids) <= 2
    pool.close()


@pytest.fixture
def granted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """On a machine of four cores: how many threads each job is sent to its worker with."""
    threads: list[int] = []

    def send(connection: socket.socket, job: Job, frame: bytes) -> None:
        send_job(connection, job, frame)
        threads.append(job.threads)

    monkeypatch.setattr("bridge.pixels.send_job", send)
    monkeypatch.setattr("bridge.pixels.os.cpu_count", lambda: 4)
    return threads


def test_a_job_alone_has_the_cores_of_all_workers_and_the_next_has_one(granted: list[int]) -> None:
    pool = PixelPool(Pixels(workers=3))
    stream, pixels = slow_stream()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.decode, stream, described(pixels), J2K)
        until(lambda: granted)
        second = threads.submit(pool.decode, stream, described(pixels), J2K)
        assert first.result() == second.result() == pixels.tobytes()
    assert granted == [3, 1]
    pool.decode(stream, described(pixels), J2K)
    assert granted[2:] == [3]
    pool.close()


def test_workers_beyond_the_cores_bring_a_job_no_more_threads(granted: list[int]) -> None:
    pool = PixelPool(Pixels(workers=9))
    pixels = image("u2", rows=256, columns=256)
    assert pool.decode(encoded(pixels, J2K), described(pixels), J2K) == pixels.tobytes()
    assert granted == [4]
    pool.close()


@pytest.mark.parametrize(("uid", "rows"), [(J2K, 255), (JPEG + "110", 1000), (JPEG + "80", 2000)])
def test_what_gains_nothing_by_threads_takes_one(granted: list[int], uid: str, rows: int) -> None:
    pool = PixelPool(Pixels(workers=2))
    pixels = image("u2", rows=rows, columns=256)
    assert pool.decode(encoded(pixels, uid), described(pixels), uid) == pixels.tobytes()
    assert granted == [1]
    pool.close()


@pytest.mark.parametrize("target", [JPEG + "90", JPEG + "91", JPEG + "110", JPEG + "112"])
@pytest.mark.parametrize("colour", [False, True])
def test_a_codestream_is_the_same_whatever_the_threads(granted: list[int], target: str, colour: bool) -> None:
    """Its strong entity tag and its byte ranges rely on that."""
    pixels = image("u1", rows=800, columns=700, colour=colour)

    def made(workers: int) -> tuple[bytes, bytes]:
        pool = PixelPool(Pixels(workers=workers))
        (stream,) = pool.encode_all([pixels.tobytes()], described(pixels), ExplicitVRLittleEndian, target)
        frame = pool.decode(stream, described(pixels, photometric_interpretation=_told(target, colour)), target)
        pool.close()
        return stream, frame

    assert made(1) == made(3)
    assert granted == [1, 1, 3, 3]


def _told(target: str, colour: bool) -> str:
    if not colour:
        return "MONOCHROME2"
    return {JPEG + "90": "YBR_RCT", JPEG + "91": "YBR_ICT", JPEG + "112": "XYB"}.get(target, "RGB")


def test_decode_all_keeps_the_order_and_looks_ahead_only_a_little() -> None:
    pool = PixelPool(Pixels(workers=2))
    images = [image("u2", seed=seed) for seed in range(9)]
    taken: list[int] = []

    def streams() -> Iterator[bytes]:
        for number, pixels in enumerate(images):
            taken.append(number)
            yield encoded(pixels, RLE)

    frames = pool.decode_all(streams(), described(images[0]), RLE)
    assert next(frames) == images[0].tobytes()
    assert len(taken) <= 3
    assert list(frames) == [pixels.tobytes() for pixels in images[1:]]
    pool.close()


def test_an_idle_worker_is_not_used_again_after_its_time() -> None:
    pool = PixelPool(Pixels(workers=1, idle_exit_s=0.0))
    small = image("u1")
    pool.decode(encoded(small, RLE), described(small), RLE)
    (first,) = pool.process_ids
    pool.decode(encoded(small, RLE), described(small), RLE)
    assert pool.process_ids != [first]
    pool.close()


def test_closing_ends_every_worker() -> None:
    pool = PixelPool(Pixels(workers=1))
    small = image("u1")
    pool.decode(encoded(small, RLE), described(small), RLE)
    (process_id,) = pool.process_ids
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


def test_the_pool_itself_never_loads_a_codec() -> None:
    import subprocess

    code = "import sys, bridge.pixels, bridge.transcode, bridge.retrieve; sys.exit('imagecodecs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
