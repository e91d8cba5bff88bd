"""C-GET: instances come back on the association that asked for them (PS3.4 §C.4.3, PS3.7 §9.1.3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bridge.errors import NotAcceptable
from scp.command import WITH_DATA_SET, CommandField, Element, Status, Stencil
from scp.contexts import Context
from scp.operation import Answer, Call
from scp.retrieval import Retrieval, Supply, best
from storage.records import InstanceRecord


class Get:
    """One retrieval over its own association."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._retrieval = Retrieval(call)

    def write(self, chunk: memoryview) -> None:
        """See Operation."""
        self._retrieval.write(chunk)

    def complete(self) -> Answer:
        """Send, and account for it."""
        return self._retrieval.run(_SameAssociation(self._call))

    def abandon(self) -> None:
        """Nothing is left behind."""


class _SameAssociation:
    """A Carrier on the contexts for which the requestor is provider (DICOM.md D9)."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._supply = Supply(call.door.retrieve, self._context)
        self._message_ids = itertools.cycle(range(1, 1 << 16))
        self._stencils: dict[str, Stencil] = {}  # by SOP class
        self._contexts: dict[str, dict[str, Context]] = {}  # SOP class -> transfer syntax -> context
        for context in call.dialogue.contexts.values():
            if context.takes_stores:
                self._contexts.setdefault(context.abstract_syntax, {}).setdefault(context.transfer_syntax, context)

    def prepare(self, batch: Sequence[InstanceRecord]) -> None:
        """The contexts are what they are."""

    def send(self, record: InstanceRecord, following: InstanceRecord | None) -> Status:
        """See Carrier."""
        context, chunks = self._supply.take(record)
        command = self._stencil(record.sop_class_uid).fill((next(self._message_ids), record.ref.sop_instance_uid or ""))
        response = self._call.dialogue.invoke(
            context.context_id, command, chunks, meanwhile=lambda: self._supply.fetch(following)
        )
        return Status(code=response.number(Element.STATUS))

    def _stencil(self, sop_class_uid: str) -> Stencil:
        """The request of a sub-operation, but for its number and instance."""
        known = self._stencils.get(sop_class_uid)
        if known is None:
            elements: dict[int, int | str | bytes] = {
                Element.AFFECTED_SOP_CLASS_UID: sop_class_uid,
                Element.COMMAND_FIELD: CommandField.C_STORE,
                Element.MESSAGE_ID: 0,
                Element.PRIORITY: self._call.command.number(Element.PRIORITY),
                Element.DATA_SET_TYPE: WITH_DATA_SET,
                Element.AFFECTED_SOP_INSTANCE_UID: "",
            }
            changing = (Element.MESSAGE_ID, Element.AFFECTED_SOP_INSTANCE_UID)
            known = self._stencils[sop_class_uid] = Stencil(elements, changing)
        return known

    def _context(self, record: InstanceRecord) -> tuple[str, Context]:
        found = best(record, self._contexts.get(record.sop_class_uid, {}))
        if found is None:
            raise NotAcceptable("no presentation context was accepted for its SOP class and transfer syntax")
        return found
