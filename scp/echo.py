"""C-ECHO: the link works (PS3.7 §9.1.5). Answers whatever the state of the archive (E1)."""

from __future__ import annotations

from scp.command import SUCCESS, Status
from scp.operation import Call


class Echo:
    """An echo has nothing to do."""

    def __init__(self, call: Call) -> None:
        pass

    def write(self, chunk: memoryview) -> None:
        """An echo has no data set; one that comes anyway is dropped."""

    def complete(self) -> Status:
        """Always Success."""
        return SUCCESS

    def abandon(self) -> None:
        """Nothing to leave behind."""
