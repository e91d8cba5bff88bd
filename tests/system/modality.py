"""`python -m tests.system.modality BRIDGE_PORT OWN_PORT FOLDER`: a modality that frees its disk only by commitment.

It sends the files of FOLDER, asks whether they are committed, and deletes a file only when an N-EVENT-REPORT has said
so. It ends when the folder is empty. What it deleted, and when it asked again, is in its output.
"""

from __future__ import annotations

import logging
import queue
import sys
import time
from pathlib import Path

from pydicom.uid import generate_uid

from bridge.part10 import read_preamble
from tests.scp.device import Device, Report, device
from tests.system.sender import Sender

AE_TITLE = "SENDER"  # as the raw sender calls itself
BATCH = 40
REPORT_S = 60.0  # then it asks anew, under another transaction
RETRY_S = 0.3


def main(bridge_port: int, own_port: int, folder: Path) -> None:
    """Send, ask, delete, until nothing is left."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    with device(AE_TITLE, port=own_port) as own:
        while files := sorted(folder.glob("*.dcm"))[:BATCH]:
            with Sender(bridge_port, files, associations=2) as sender:
                sender.wait(600)
            ask(own, bridge_port, {uid_of(path): path for path in files})


def ask(own: Device, bridge_port: int, copies: dict[str, Path]) -> None:
    """One transaction: ask until it is taken on, wait for its report, delete what is committed."""
    transaction = str(generate_uid())
    while (status := _status(own, bridge_port, transaction, list(copies))) not in (0x0000, 0x0131):
        print(f"asked in vain: {status}", flush=True)
        time.sleep(RETRY_S)
    report = _report(own, transaction)
    if report is None:
        print("no report", flush=True)
        return
    for uid in report.committed:
        copies[uid].unlink()
    print(f"committed {len(report.committed)}, failed {report.failed}", flush=True)


def uid_of(path: Path) -> str:
    """The SOP Instance UID of a file."""
    return read_preamble(path.read_bytes()).media_storage_sop_instance_uid


def _status(own: Device, bridge_port: int, transaction: str, uids: list[str]) -> int | None:
    """The answer to N-ACTION; None when the bridge is away, or goes away in the middle."""
    try:
        return own.ask(bridge_port, transaction, uids)
    except (AssertionError, AttributeError, RuntimeError, ValueError, OSError):
        return None


def _report(own: Device, transaction: str) -> Report | None:
    deadline = time.monotonic() + REPORT_S
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            report = own.report(left_s)
        except queue.Empty:
            break
        if report.transaction_uid == transaction:  # one of an earlier transaction comes too late
            return report
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
