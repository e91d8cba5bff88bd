"""What a service is to an association: an operation that is begun by a command, fed a data set, and completed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.archive import Archive
from bridge.ingest import Delivery, Receipt
from scp.command import Command, Status
from scp.contexts import Context
from scp.peers import Caller


class Sink(Protocol):
    """A growing object, as `bridge.ingest.begin` gives it."""

    def write(self, chunk: memoryview) -> None:
        """Append; the chunk is copied."""
        ...

    def discard(self) -> None:
        """Forget everything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The verbs of the archive that this door calls; `bridge.ingest` in earnest."""

    begin: Callable[[Archive, bytes], Sink]
    ingest: Callable[[Archive, Any, Delivery], Receipt]  # takes what `begin` gave


@dataclass(slots=True)
class Tally:
    """What one association delivered."""

    instances: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A command, and everything an operation may want to know about where it came from."""

    command: Command
    context: Context
    caller: Caller
    archive: Archive
    intake: Intake
    tally: Tally


class Operation(Protocol):
    """One invocation of a service. `write` comes as often as there are fragments; then `complete` or `abandon`."""

    def write(self, chunk: memoryview) -> None:
        """Take a piece of the data set, which is valid only during the call. May raise BridgeError once."""
        ...

    def complete(self) -> Status:
        """The data set is whole: do it. Raises BridgeError."""
        ...

    def abandon(self) -> None:
        """The association is gone, or a `write` failed: leave nothing behind."""
        ...
