"""A commit that was acknowledged outlives a power cut, though its log goes to the disk after the lock is given back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.index import SqlIndex, migrate, open_index
from tests.servers.process import wait_until
from tests.storage.index.building import keep, record, ref
from tests.storage.test_power_cut import cut_power, formatted, mounted

THREADS = 4


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(5))
def test_every_acknowledged_commit_survives_a_power_cut(tmp_path: Path, round_: int) -> None:
    image, folder = formatted(tmp_path / "image", 200), tmp_path / "disk"
    acknowledged: set[tuple[int, int]] = set()

    def commit_until_the_lights_go_out(index: SqlIndex, study: int) -> None:
        number = 0
        try:
            while True:
                number += 1
                keep(index, record(study, 1, number))
                acknowledged.add((study, number))
        except StorageError:
            return  # the disk is gone

    with mounted(image, folder):
        url = f"sqlite://{folder / 'index.sqlite'}"
        migrate(url)
        index = open_index(url)
        threads = [
            threading.Thread(target=commit_until_the_lights_go_out, args=(index, 1 + study)) for study in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) >= 300 + 70 * round_, what="enough commits")
        before_the_cut = set(acknowledged)
        cut_power(folder)
        for thread in threads:
            thread.join()
        index.close()
    with mounted(image, folder):
        again = open_index(url)
        found = {
            (study, int((one.ref.sop_instance_uid or "").rpartition(".")[2]))
            for study in range(1, 1 + THREADS)
            for one in again.instances(ref(study, None, None), limit=100_000)
        }
        assert before_the_cut <= found
        seqs = [event.seq for event in again.events(after=0, limit=100_000)]
        assert seqs == list(range(1, len(found) + 1))  # whole up to some commit
        again.close()
