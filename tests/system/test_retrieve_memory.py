"""A large study goes out in constant memory, in whatever form, and a client that leaves leaves nothing behind."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.memory import peak_mb, pss_mb
from tests.servers.process import wait_until
from tests.system.objects import ROOT, many
from tests.system.running import RunningBridge, running_bridge

PIXELS = 2048  # 8 MiB an instance
GROWTH_MB = 100.0
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FORMS = {
    "message": AS_STORED,
    "zip": "application/zip",
    "deflated": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1.99',
    "transcoded": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5',
    "bulk data": 'multipart/related; type="application/octet-stream"',
}


def filled(directory: Path, count: int) -> Iterator[RunningBridge]:
    """A bridge of one door process that holds a study of `count` instances and has sent some of it already."""
    files = directory / "files"
    many(files, count, per_series=count, pixels=PIXELS)
    with running_bridge(directory / "bridge", http={"processes": 1}) as bridge:
        bridge.cli("ingest", str(files))
        for path in files.iterdir():
            path.unlink()
        for accept in FORMS.values():
            read(bridge, f"/studies/{ROOT}.0", accept, limit=1 << 20)  # the codec workers start, buffers are there
        yield bridge


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    yield from filled(tmp_path_factory.mktemp("large"), 40)


def read(bridge: RunningBridge, path: str, accept: str, limit: int | None = None) -> int:
    """Bytes of the answer, which is thrown away; with `limit` the connection is closed after so many."""
    connection = http.client.HTTPConnection("127.0.0.1", bridge.http_port, timeout=120)
    try:
        connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        size, buffer = 0, bytearray(1 << 20)
        while (count := answer.readinto(buffer)) and (limit is None or size < limit):
            size += count
        return size
    finally:
        connection.close()


def growth_mb(bridge: RunningBridge, accept: str, at_least: int) -> float:
    """What all processes of the bridge take more while the study is read."""
    assert bridge.process is not None
    idle = pss_mb(bridge.process.pid)
    sizes: list[int] = []
    peak = peak_mb(bridge.process.pid, lambda: sizes.append(read(bridge, f"/studies/{ROOT}.0", accept)))
    assert sizes[0] >= at_least
    return peak - idle


@pytest.mark.parametrize("form", FORMS)
def test_w28_a_large_study_goes_out_in_constant_memory(bridge: RunningBridge, form: str) -> None:
    compressed = form in ("deflated", "transcoded")
    assert growth_mb(bridge, FORMS[form], 10_000 if compressed else 40 * 2 * PIXELS**2) < GROWTH_MB


@pytest.mark.parametrize("form", FORMS)
def test_w28_a_client_that_leaves_frees_everything(bridge: RunningBridge, form: str) -> None:
    for _ in range(3):
        read(bridge, f"/studies/{ROOT}.0", FORMS[form], limit=1)
    wait_until(lambda: not open_objects(bridge), what="every stored object being closed")
    assert read(bridge, f"/studies/{ROOT}.0/series/{ROOT}.0.1/instances/{ROOT}.0.1.2", FORMS["zip"]) > 2 * PIXELS**2


def open_objects(bridge: RunningBridge) -> list[str]:
    """Stored objects that some process holds open."""
    found = []
    for pid in bridge.pids():
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.endswith(".dcm"):
                found.append(target)
    return found


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", ["message", "zip"])
def test_w28_five_gigabytes_take_no_more(tmp_path: Path, form: str) -> None:
    for bridge in filled(tmp_path, 640):
        assert growth_mb(bridge, FORMS[form], 5 * 10**9) < GROWTH_MB
