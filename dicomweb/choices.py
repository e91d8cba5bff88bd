"""How each of many instances is sent, settled for all of them before the first byte (DICOM.md W15, W28)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from bridge.outgoing import Representation as Outgoing
from bridge.retrieve import producible_from
from dicomweb.deps import Call
from dicomweb.negotiate import Chooser, Representation
from storage.records import InstanceRecord, ResourceRef

_LISTED = 2000  # instances kept in memory between the check and the sending of a study

Choice = tuple[InstanceRecord, Representation]


def chosen_for(
    call: Call,
    ref: ResourceRef,
    chooser: Chooser,
    size_of: Callable[[int, InstanceRecord, Representation], int],
) -> tuple[Iterator[Choice], int | None]:
    """How each instance is sent, and the size of all of them; None as soon as one is converted or they are many.

    Raises NotAcceptable when one of them cannot be sent as asked. They are gone through twice when they are many.
    """
    records = call.door.retrieve.instances(ref)
    listed = list(islice(records, _LISTED))
    size: int | None = 0
    for index, record in enumerate(chain(listed, records)):
        chosen = choose(chooser, record)
        if size is None or chosen.transfer_syntax_uid != record.transfer_syntax_uid:
            size = None
        else:
            size += size_of(index, record, chosen)
    many = len(listed) == _LISTED
    again = call.door.retrieve.instances(ref) if many else listed
    return ((record, choose(chooser, record)) for record in again), None if many else size


def choose(chooser: Chooser, record: InstanceRecord) -> Representation:
    """How one instance is sent. Raises NotAcceptable."""
    return chooser.instance(record.transfer_syntax_uid, producible_from(record))


def streams_of(call: Call, choices: Iterable[Choice]) -> Iterator[tuple[InstanceRecord, Representation, Outgoing]]:
    """Each instance with its bytes."""
    taken: list[Choice] = []

    def wanted() -> Iterator[tuple[InstanceRecord, str]]:
        for choice in choices:
            taken.append(choice)
            yield choice[0], choice[1].transfer_syntax_uid

    streams = call.door.retrieve.object_streams(wanted())
    try:
        for stream in streams:
            record, chosen = taken.pop(0)
            yield record, chosen, stream
    finally:
        streams.close()
