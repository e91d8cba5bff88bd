"""A modality with pynetdicom: asks for storage commitment, listens for the report (PS3.4 Annex J)."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE, evt

PUSH_MODEL = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Report:
    """What an N-EVENT-REPORT said."""

    event_type: int
    transaction_uid: str
    committed: list[str]
    failed: dict[str, int]  # SOP Instance UID -> reason
    calling_ae_title: str


@dataclass
class Device:
    """A modality that listens on `port`."""

    ae_title: str = "CT01"
    port: int = 0
    answer: int = 0x0000  # to the next report
    reports: queue.Queue[Report] = field(default_factory=queue.Queue)

    def report(self, patience_s: float = PATIENCE_S) -> Report:
        """The next report."""
        return self.reports.get(timeout=patience_s)

    def heard(self, event: Any) -> int:
        """An N-EVENT-REPORT has come."""
        said = event.event_information
        self.reports.put(
            Report(
                event_type=event.request.EventTypeID,
                transaction_uid=str(said.TransactionUID),
                committed=[str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence", ())],
                failed={
                    str(item.ReferencedSOPInstanceUID): item.FailureReason for item in said.get("FailedSOPSequence", ())
                },
                calling_ae_title=event.assoc.requestor.ae_title.strip(),
            )
        )
        return self.answer

    def ask(
        self,
        port: int,
        transaction_uid: str,
        uids: Sequence[str],
        *,
        sop_class: str = CTImageStorage,
        stays: bool = False,
        called: str = "BRIDGE",
        **changes: Any,
    ) -> int:
        """N-ACTION; returns its status. With `stays` the association is kept until a report has come on it."""
        entity = AE(ae_title=self.ae_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_S
        entity.add_requested_context(PUSH_MODEL)
        handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: (self.heard(event), None))]
        association = entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=handlers)
        assert association.is_established
        try:
            wanted: dict[str, Any] = {"action": 1, "instance": INSTANCE, "information": None, **changes}
            information = wanted["information"] or asking(transaction_uid, uids, sop_class)
            status, _ = association.send_n_action(information, wanted["action"], PUSH_MODEL, wanted["instance"])
            if stays:
                self.reports.put(self.report())
            return int(status.Status)
        finally:
            association.release()


def asking(transaction_uid: str, uids: Sequence[str], sop_class: str = CTImageStorage) -> Dataset:
    """The information of the N-ACTION."""
    information = Dataset()
    if transaction_uid:
        information.add(_uid(0x00081195, transaction_uid))
    information.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.add(_uid(0x00081155, uid))
        information.ReferencedSOPSequence.append(item)
    return information


def _uid(tag: int, text: str) -> DataElement:
    """A UI element, also of what is no UID."""
    return DataElement(tag, "UI", UID(text, validation_mode=0), already_converted=True)


@contextmanager
def device(ae_title: str = "CT01", *, port: int = 0, takes_reports: bool = True) -> Iterator[Device]:
    """A device that listens."""
    made = Device(ae_title)
    entity = AE(ae_title=ae_title)
    if takes_reports:
        entity.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)
    else:
        entity.add_supported_context("1.2.840.10008.1.1")
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: (made.heard(event), None))]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    made.port = server.socket.getsockname()[1]
    try:
        yield made
    finally:
        server.shutdown()
