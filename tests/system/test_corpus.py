"""Every file of pydicom's and pydicom-data's test sets and of the variety folder, sent in its own transfer syntax.

Each is stored, or refused with a fitting code; none ever drops the association (PS3.4 §B.2.3).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, _config
from pynetdicom.association import Association

from tests.bridge import corpus
from tests.system.running import RunningBridge, running_bridge

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
STORED = (0x0000, 0xB000, 0xB006, 0xB007)
WITHOUT_A_STUDY = ("1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.39.1")  # DICOMDIR, colour palette


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path_factory.mktemp("bridge")) as running:
        yield running


@pytest.fixture(autouse=True)
def raw_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go over the wire as they are, not read and written again by the sender."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


def fits(status: int) -> bool:
    """Stored, or refused in the words of C-STORE: out of resources, mismatch, not understood, class not supported."""
    return status in STORED or status >> 8 in (0xA7, 0xA9) or status >> 12 == 0xC or status in (0x0122, 0x0117, 0x0111)


def sendable(path: Path) -> tuple[str, str] | None:
    """(SOP class, transfer syntax) of a file that has what an association needs, else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True)
            meta = header.file_meta
            sop_class = str(meta.get("MediaStorageSOPClassUID") or "")
            syntax = str(meta.get("TransferSyntaxUID") or "")
            instance = str(meta.get("MediaStorageSOPInstanceUID") or "")
    except (InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError, AttributeError):
        return None
    return (sop_class, syntax) if sop_class and syntax and instance else None


def named(origin: str) -> list[Path]:
    """The DICOM files whose name begins so."""
    return [path for name, path in corpus.files().items() if name.startswith(origin)]


def connect(port: int, sop_class: str, syntax: str) -> Association:
    entity = AE("CORPUS")
    entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = 90
    entity.add_requested_context(sop_class, [syntax])
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", port)
    assert association.is_established
    return association


def push(bridge: RunningBridge, files: list[Path]) -> tuple[Counter[str], list[str]]:
    """Send each file; what became of them, and what should not have happened."""
    outcomes: Counter[str] = Counter()
    problems = []
    for path in files:
        proposal = sendable(path)
        if proposal is None:
            outcomes["not a DICOM file that can be sent"] += 1
            continue
        association = connect(bridge.dimse_port, *proposal)
        accepted = {context.abstract_syntax for context in association.accepted_contexts}
        if proposal[0] not in accepted:
            outcomes["context refused"] += 1
            if proposal[0] not in WITHOUT_A_STUDY:
                problems.append(f"{path.name}: context refused for {proposal}")
        else:
            problems += _send(association, path, outcomes)
        association.release()
    return outcomes, problems


def _send(association: Association, path: Path, outcomes: Counter[str]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = association.send_c_store(path)
    status = int(answer.Status) if "Status" in answer else -1
    outcomes[f"0x{status:04X}"] += 1
    if not fits(status):
        return [f"{path.name}: status 0x{status:04X}"]
    if not association.is_established or int(association.send_c_echo().Status) != 0:
        return [f"{path.name}: the association was dropped"]
    return []


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
