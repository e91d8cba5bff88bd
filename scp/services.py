"""SERVICES: Command Field of a request -> the operation it begins. One file and one line add a service (DESIGN §10)."""

from __future__ import annotations

from collections.abc import Callable

from scp.command import CommandField
from scp.echo import Echo
from scp.operation import Call, Operation
from scp.store import Store

SERVICES: dict[int, Callable[[Call], Operation]] = {
    CommandField.C_ECHO: Echo,
    CommandField.C_STORE: Store,
}
