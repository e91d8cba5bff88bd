"""The next connection goes to the process with the fewest; who dies counts no more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scp.balance import Balance

OTHER = """
import sys
from pathlib import Path
from scp.balance import Balance
balance = Balance(Path(sys.argv[1]), 2)
for line in sys.stdin:
    balance.note(int(line))
    print(balance.is_above(int(line)), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the numbers are."""
    return tmp_path / "run" / "balance"


@pytest.fixture
def balance(path: Path) -> Iterator[Balance]:
    """This process's share in it."""
    mine = Balance(path, 2)
    yield mine
    mine.close()


class Other:
    """Another process of the door."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def note(self, connections: int) -> bool:
        """It has so many; whether it is above this process."""
        assert self._process.stdin
        assert self._process.stdout
        print(connections, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip() == "True"

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.communicate(timeout=10)


@pytest.fixture
def other(path: Path) -> Iterator[Other]:
    """One that lives as long as the test."""
    process = Other(path)
    yield process
    process.kill()


def test_one_process_alone_is_never_above(balance: Balance) -> None:
    balance.note(5)
    assert not balance.is_above(5)


def test_the_one_with_more_is_above_and_the_other_is_not(balance: Balance, other: Other) -> None:
    balance.note(2)
    assert not other.note(1)
    assert balance.is_above(2)
    balance.note(1)
    assert other.note(2)
    assert not balance.is_above(1)


def test_equal_numbers_put_nobody_above(balance: Balance, other: Other) -> None:
    balance.note(3)
    assert not other.note(3)
    assert not balance.is_above(3)


def test_a_process_that_was_killed_counts_no_more(balance: Balance, other: Other) -> None:
    other.note(0)
    balance.note(1)
    assert balance.is_above(1)
    other.kill()
    assert not balance.is_above(1)


def test_one_process_more_than_expected_is_only_not_counted(path: Path, balance: Balance) -> None:
    others = [Other(path) for _ in range(4)]
    try:
        assert [other.note(7) for other in others].count(True) == 4  # above this one, which has none
        assert not balance.is_above(0)
    finally:
        for other in others:
            other.kill()
