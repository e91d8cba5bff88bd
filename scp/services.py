"""SERVICES: Command Field of a request -> the operation it begins. One file and one line add a service (DESIGN §10)."""

from __future__ import annotations

from collections.abc import Callable

from scp.command import CommandField
from scp.commitment import Commitment
from scp.echo import Echo
from scp.find import Find
from scp.get import Get
from scp.move import Move
from scp.operation import Call, Operation
from scp.store import Store

ANY_CONTEXT = "echo"  # the link is tested on whatever was accepted

# With the service that the presentation context must be for.
SERVICES: dict[int, tuple[str, Callable[[Call], Operation]]] = {
    CommandField.C_ECHO: (ANY_CONTEXT, Echo),
    CommandField.C_STORE: ("store", Store),
    CommandField.C_FIND: ("find", Find),
    CommandField.C_GET: ("get", Get),
    CommandField.C_MOVE: ("move", Move),
    CommandField.N_ACTION: ("commitment", Commitment),
}
