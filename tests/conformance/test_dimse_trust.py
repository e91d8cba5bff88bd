"""Storage commitment and TLS, requirement by requirement; each id is the clause and the row in question."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage

from bridge import commitment, identifiers
from bridge.commitment import Failure, Reference, Request
from bridge.settings import Peer as KnownPeer
from scp.certificates import server_context
from scp.commitment import ALL_COMMITTED, FAILURES_EXIST, report
from scp.contexts import STORAGE_COMMITMENT
from tests.bridge.archives import SERIES, data_set, receive
from tests.scp.device import Device, device
from tests.scp.identities import Authority
from tests.scp.running import RunningDoor, running_door, settings, turn
from tests.scp.wire import EXPLICIT, IMPLICIT, Peer

A, UNKNOWN = f"{SERIES}.1", f"{SERIES}.9"
JPEG = "1.2.840.10008.1.2.4.70"


@pytest.fixture
def modality() -> Iterator[Device]:
    """A device that listens for reports."""
    with device() as listening:
        yield listening


@pytest.fixture
def door(tmp_path: Path, modality: Device) -> Iterator[RunningDoor]:
    """An archive with one instance, that knows the device."""
    known = KnownPeer(name="ct-1", ae_title="CT01", host="127.0.0.1", port=modality.port)
    with running_door(tmp_path, replace(settings(peers=(known,)))) as opened:
        receive(opened.archive, data_set(1))
        yield opened


def asked(*verdicts: int) -> Request:
    """A request with these verdicts."""
    references = tuple(Reference(CTImageStorage, f"1.2.{n}", verdict) for n, verdict in enumerate(verdicts))
    return Request(
        transaction_uid="1.2.3", site="default", peer="", ae_title="CT01", called_ae_title="B", references=references
    )


def test_j_3_2_1_2_e15_the_response_comes_before_the_report(door: RunningDoor, modality: Device) -> None:
    assert modality.ask(door.port, "1.2.3", [A]) == 0x0000
    assert modality.reports.empty()
    turn(door)
    assert modality.report().transaction_uid == "1.2.3"


def test_j_3_2_1_4_e15_a_transaction_uid_is_used_once(door: RunningDoor, modality: Device) -> None:
    assert [modality.ask(door.port, "1.2.3", [A]) for _ in range(2)] == [0x0000, 0x0131]


def test_j_3_3_1_1_e15_event_type_1_means_that_all_are_committed(door: RunningDoor, modality: Device) -> None:
    modality.ask(door.port, "1.2.3", [A])
    turn(door)
    said = modality.report()
    assert (said.event_type, said.committed, said.failed) == (ALL_COMMITTED, [A], {})


def test_j_3_3_1_1_e15_event_type_2_lists_every_reference_once(door: RunningDoor, modality: Device) -> None:
    modality.ask(door.port, "1.2.3", [A, UNKNOWN])
    turn(door)
    said = modality.report()
    assert (said.event_type, said.committed, said.failed) == (FAILURES_EXIST, [A], {UNKNOWN: 0x0112})


@pytest.mark.parametrize("failure", list(Failure), ids=lambda failure: f"{failure:04X}")
def test_c_14_1_1_e15_a_failure_says_its_reason(failure: Failure) -> None:
    event_type, document = report(asked(0, failure))
    read = identifiers.read(identifiers.write(document, explicit=True), EXPLICIT)
    [failed] = read["00081198"]["Value"]
    assert (event_type, failed["00081197"]["Value"], failed["00081155"]["Value"]) == (2, [failure], ["1.2.1"])
    assert [item["00081155"]["Value"] for item in read["00081199"]["Value"]] == [["1.2.0"]]


@pytest.mark.parametrize(("verdicts", "present"), [((0, 0), "00081199"), ((0x0112,), "00081198")])
def test_table_j_3_2_e15_an_empty_sequence_is_left_out(verdicts: tuple[int, ...], present: str) -> None:
    _, document = report(asked(*verdicts))
    assert set(document) == {"00081195", present}


def test_j_3_3_2_e15_nothing_is_committed_of_an_index_row_alone(door: RunningDoor, modality: Device) -> None:
    objects = door.archive.stores["hot"]._objects  # type: ignore[attr-defined]
    [(key, kept)] = objects.items()
    objects[key] = replace(kept, body=kept.body[:-1] + b"\xff")
    modality.ask(door.port, "1.2.3", [A])
    turn(door)
    assert modality.report().failed == {A: 0x0110}


@pytest.mark.parametrize("offered", [(IMPLICIT,), (EXPLICIT, IMPLICIT), (JPEG, EXPLICIT)])
def test_j_3_e15_the_context_takes_an_uncompressed_syntax(door: RunningDoor, offered: tuple[str, ...]) -> None:
    with Peer(door.address) as peer:
        agreed = peer.associate((1, STORAGE_COMMITMENT, offered), calling="CT01")
        assert agreed[1] == (0, EXPLICIT if EXPLICIT in offered else IMPLICIT)


def test_e15_a_request_outlives_the_process_that_took_it(door: RunningDoor, modality: Device) -> None:
    modality.ask(door.port, "1.2.3", [A])
    door.stop()
    assert [job.state for job in door.archive.registry.jobs(commitment.KIND, limit=9)] == ["waiting"]
    turn(door)
    assert modality.report().committed == [A]


def test_ps3_15_b_d16_only_tls_1_2_and_1_3_with_ephemeral_keys_and_authenticated_encryption(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = server_context(authority.tls(authority.identity("a.example")))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    names = {cipher["name"] for cipher in context.get_ciphers()}
    # RFC 9325 §4.2: what every implementation should offer
    assert {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"} <= names
    assert not [name for name in names if "CBC" in name or name.startswith(("AES", "DHE", "PSK"))]
