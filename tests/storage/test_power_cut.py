"""What a put promised must outlive a power cut: a real ext4 is cut off without its journal being written out."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.objects.base import ObjectMeta
from storage.objects.local import LocalStore
from tests.servers.process import wait_until
from tests.storage.stored import HEADER, content, new_key, pattern, payload, spooled

CARRIED = ObjectMeta(tags={"rc": "cn-op-15"}, user={"name": "v" * 1000})
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN: _IOR('X', 125, __u32)
_WITHOUT_FLUSHING_THE_JOURNAL = 2
_THREADS = 4


def formatted(image: Path, size_mib: int) -> Path:
    """A new file with an empty ext4 of that size."""
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", str(image)], check=True)
    return image


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """The file system in `image`, at `folder`; needs root and a loop device."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def cut_power(folder: Path) -> None:
    """From here on nothing reaches the disk; what only the page cache or the journal's memory has is lost."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING_THE_JOURNAL))
    finally:
        os.close(descriptor)


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(10))
def test_every_put_that_returned_survives_a_power_cut(tmp_path: Path, round_: int) -> None:
    image, folder = formatted(tmp_path / "image", 400), tmp_path / "disk"
    promised: dict[str, bytes] = {}

    def put_until_the_lights_go_out(store: LocalStore, number: int) -> None:
        count = 0
        try:
            while True:
                count += 1
                body = pattern(1000 + 7001 * (count % 40))
                key = new_key(f"site/1.{number}/2.{count}")
                with spooled(store.staging, body) if count % 3 == 0 else payload(body) as taken:
                    store.put(key, taken, meta=CARRIED)
                promised[key] = HEADER + body
        except (StorageError, OSError):
            return  # the disk is gone

    with mounted(image, folder):
        store = LocalStore(folder / "store")
        threads = [threading.Thread(target=put_until_the_lights_go_out, args=(store, n)) for n in range(_THREADS)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(promised) >= 40 + 3 * round_, what="enough puts")
        before_the_cut = dict(promised)  # later an aborted journal may answer an fsync with success
        cut_power(folder)
        for thread in threads:
            thread.join()
    with mounted(image, folder):
        again = LocalStore(folder / "store")
        listed = {info.key: info.size_bytes for info in again.list()}
        for key, expected in before_the_cut.items():
            assert content(again, key) == expected
            assert again.meta(key) == CARRIED
            assert listed[key] == len(expected)
        for key in listed.keys() - before_the_cut.keys():  # cut between link and fsync, or between fsync and return
            assert len(content(again, key)) == listed[key]
            assert again.meta(key) == CARRIED
