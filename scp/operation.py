"""What a service is to an association: an operation that is begun by a command, fed a data set, and completed.

Most operations end in one response. Those that say more, or ask the peer something themselves, do so through the
dialogue of their call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bridge.archive import Archive
from bridge.ingest import Delivery, Receipt
from bridge.retrieve import Retrieve
from bridge.search import Answers
from scp.command import Command, Status
from scp.contexts import Context
from scp.peers import Caller, Peers
from scp.slots import Slots


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What all associations of a process share."""

    archive: Archive
    intake: Intake
    retrieve: Retrieve
    answers: Answers
    peers: Peers
    outgoing: threading.Semaphore  # one for each association that we may open
    slots: Slots


@dataclass(slots=True)
class Tally:
    """What one association delivered."""

    instances: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response in the making, pending or final."""

    status: Status
    extra: Mapping[int, int] = field(default_factory=dict)  # further elements of the command set
    data_set: bytes = b""  # in the transfer syntax of the request's context; empty = none


class Dialogue(Protocol):
    """The association while an operation runs. What ends the association passes through as `Broken`."""

    contexts: Mapping[int, Context]  # all that were accepted

    def respond(self, answer: Answer, *, now: bool = False) -> None:
        """Say a pending response. Small ones in close order leave together, unless `now`; the final one is returned."""
        ...

    def is_cancelled(self) -> bool:
        """Whether a C-CANCEL for this operation has arrived; does not wait."""
        ...

    def has_request(self) -> bool:
        """Whether the peer has gone on with a further request, which waits until this operation is over."""
        ...

    def invoke(
        self,
        context_id: int,
        command: bytes,
        data_set: Iterable[bytes],
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        """Send a request on this association and wait for its response (a sub-operation of C-GET).

        `meanwhile` is called once between the two.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A command, and everything an operation may want to know about where it came from."""

    command: Command
    context: Context
    caller: Caller
    door: Door
    tally: Tally
    dialogue: Dialogue

    @property
    def archive(self) -> Archive:
        """The archive behind the door."""
        return self.door.archive

    @property
    def intake(self) -> Intake:
        """How instances come in."""
        return self.door.intake


class Operation(Protocol):
    """One invocation of a service. `write` comes as often as there are fragments; then `complete` or `abandon`."""

    def write(self, chunk: memoryview) -> None:
        """Take a piece of the data set, which is valid only during the call. May raise BridgeError once."""
        ...

    def complete(self) -> Status | Answer | None:
        """The data set is whole: do it; returns the final response, or None when it has been said already.

        Raises BridgeError, and lets Broken pass.
        """
        ...

    def abandon(self) -> None:
        """The association is gone, or a `write` failed: leave nothing behind."""
        ...
