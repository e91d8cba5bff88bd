"""Caps over all processes, given back by whoever dies (DICOM.md E16)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scp.slots import Slots

HOLDER = """
import sys
from pathlib import Path
from scp.slots import Slots
slots = Slots(Path(sys.argv[1]), 4)
assert all(slots.take("CT01", 9) for _ in range(3))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the table is."""
    return tmp_path / "run" / "associations"


@pytest.fixture
def slots(path: Path) -> Iterator[Slots]:
    """A table of four."""
    table = Slots(path, 4)
    yield table
    table.close()


def test_no_more_than_the_total_are_given(slots: Slots) -> None:
    taken = [slots.take(f"peer {number}", 9) for number in range(5)]
    assert [slot is not None for slot in taken] == [True] * 4 + [False]


def test_no_more_than_its_limit_are_given_to_one_peer(slots: Slots) -> None:
    assert slots.take("CT01", 2)
    assert slots.take("CT01", 2)
    assert slots.take("CT01", 2) is None
    assert slots.take("CT02", 2)


def test_what_is_given_back_can_be_taken_again(slots: Slots) -> None:
    give_back = slots.take("CT01", 1)
    assert give_back
    give_back()
    assert slots.open() == 0
    assert slots.take("CT01", 1)


def test_slots_are_shared_by_processes_and_freed_when_one_is_killed(slots: Slots, path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert slots.open() == 3
        assert slots.take("CT01", 3) is None
        give_back = slots.take("CT02", 3)
        assert give_back
        assert slots.take("CT03", 3) is None
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert slots.open() == 1
        assert slots.take("CT01", 1)


def test_many_threads_never_get_more_than_there_are(slots: Slots) -> None:
    most, together, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal most, together
        for _ in range(50):
            if give_back := slots.take("CT01", 3):
                with lock:
                    together += 1
                    most = max(most, together)
                with lock:
                    together -= 1
                give_back()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most <= 3
    assert slots.open() == 0
