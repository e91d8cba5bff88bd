"""Every file of pydicom's and pydicom-data's test sets and of the variety folder, sent in its own transfer syntax.

Each is stored, or refused with a fitting code; none ever drops the association (PS3.4 §B.2.3). The sender is the tests'
own raw peer: the bytes of a file go over the wire as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import InvalidInstance
from bridge.part10 import FileMeta, read_preamble
from tests.bridge import corpus
from tests.scp.wire import COMMAND, DATA, ECHO_CONTEXT, Peer, message, store
from tests.system.running import RunningBridge, running_bridge

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
STORED = (0x0000, 0xB000, 0xB006, 0xB007)
WITHOUT_A_STUDY = ("1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.39.1")  # DICOMDIR, colour palette
FRAGMENT_BYTES = 65536


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path_factory.mktemp("bridge")) as running:
        yield running


def named(origin: str) -> list[Path]:
    """The DICOM files whose name begins so."""
    return [path for name, path in corpus.files().items() if name.startswith(origin)]


def fits(status: int) -> bool:
    """Stored, or refused in C-STORE's words: out of resources, mismatch, cannot understand, class not supported."""
    return status in STORED or status >> 8 in (0xA7, 0xA9) or status >> 12 == 0xC or status in (0x0122, 0x0117, 0x0111)


def push(bridge: RunningBridge, files: list[Path]) -> tuple[Counter[str], list[str]]:
    """Send each file; what became of them, and what should not have happened."""
    outcomes: Counter[str] = Counter()
    problems = []
    for path in files:
        content = path.read_bytes()
        try:
            meta = read_preamble(content)
        except InvalidInstance:
            outcomes["not a DICOM file that can be sent"] += 1
            continue
        if not meta.media_storage_sop_class_uid or not meta.media_storage_sop_instance_uid:
            outcomes["not a DICOM file that can be sent"] += 1
            continue
        outcome = _send(bridge, meta, content[meta.data_set_offset :])
        outcomes[outcome] += 1
        if outcome == "context refused" and meta.media_storage_sop_class_uid not in WITHOUT_A_STUDY:
            problems.append(f"{path.name}: context refused")
        if outcome.startswith("0x") and not fits(int(outcome, 16)):
            problems.append(f"{path.name}: status {outcome}")
    return outcomes, problems


def _send(bridge: RunningBridge, meta: FileMeta, data_set: bytes) -> str:
    """One file on an association of its own; the association must outlive it. Raises EOFError when it does not."""
    sop_class, sop = meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid
    with Peer(("127.0.0.1", bridge.dimse_port)) as peer:
        peer.socket.settimeout(60)
        accepted = peer.associate(ECHO_CONTEXT, (3, sop_class, (meta.transfer_syntax_uid,)))
        if accepted[3][0] != 0:
            return "context refused"
        peer.send(message(3, COMMAND, store(sop, sop_class=sop_class)))
        peer.send(message(3, DATA, data_set, fragment_bytes=FRAGMENT_BYTES))
        status = peer.status()
        assert peer.echo() == 0
        peer.release()
    return f"0x{status:04X}"


def test_every_file_of_the_variety_folder_is_answered(bridge: RunningBridge) -> None:
    outcomes, problems = push(bridge, named("shared/variety"))
    assert problems == []
    assert outcomes["0x0000"] + outcomes["0xB000"] >= 38, outcomes  # several share a SOP Instance UID on purpose


def test_every_file_of_pydicoms_test_sets_is_answered(bridge: RunningBridge) -> None:
    outcomes, problems = push(bridge, named("pydicom"))
    assert problems == []
    assert outcomes["0x0000"] >= 60, outcomes


def test_everything_stored_has_metadata_and_can_be_listed(bridge: RunningBridge) -> None:
    instances = bridge.json("/instances?limit=5000&includefield=all")
    assert len(instances) >= 60
    for study in bridge.json("/studies?limit=5000"):
        uid = study["0020000D"]["Value"][0]  # type: ignore[index]
        status, body = bridge.get(f"/dicom-web/studies/{uid}/metadata", {"Accept": "application/dicom+json"})
        assert (status, body[:1]) == (200, b"[")
