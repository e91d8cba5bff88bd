"""Verification and Storage, requirement by requirement; each id is the clause and the row in question."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.records import ResourceRef
from tests.bridge.archives import SERIES, STUDY, data_set, moody, open_test_archive, receive
from tests.scp.running import RunningDoor, running_door
from tests.scp.wire import (
    COMMAND,
    CT,
    DATA,
    ECHO_CONTEXT,
    EXPLICIT,
    STORE_CONTEXT,
    VERIFICATION,
    WITH_DATA_SET,
    Peer,
    message,
    request,
    store,
)  # fmt: skip

SOP = f"{SERIES}.1"
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    with running_door(tmp_path_factory.mktemp("door")) as opened:
        yield opened


@pytest.fixture
def peer(door: RunningDoor) -> Iterator[Peer]:
    with Peer(door.address) as opened:
        opened.associate(ECHO_CONTEXT, STORE_CONTEXT)
        yield opened


@pytest.mark.parametrize("mood", ["well", "away", "full"])
def test_e1_c_echo_is_success_whatever_the_state_of_the_archive(door: RunningDoor, peer: Peer, mood: str) -> None:
    moody(door.archive).mood = mood
    assert peer.echo() == 0x0000


def test_ps3_7_9_3_5_2_the_echo_response_has_every_element_of_the_table(peer: Peer) -> None:
    peer.send(message(1, COMMAND, request(0x0030, 9, sop_class=VERIFICATION)))
    response = peer.response()
    assert response[0x0002].rstrip(b"\0").decode() == VERIFICATION
    assert (response[0x0100], response[0x0120], response[0x0800]) == (b"\x30\x80", b"\x09\0", b"\x01\x01")
    assert int.from_bytes(response[0x0000], "little") == sum(8 + len(v) for n, v in response.items() if n)


@pytest.mark.parametrize(
    ("sop_class", "sop", "data", "status"),
    [
        pytest.param(CT, SOP, data_set(), 0x0000, id="PS3.4-B.2.3-success"),
        pytest.param(CT, SOP, b"\xff" * 200, 0xC000, id="PS3.4-B.2.3-cannot-understand"),
        pytest.param(CT, SOP, data_set(StudyInstanceUID=""), 0xC000, id="PS3.4-B.2.3-uid-missing"),
        pytest.param(CT, "1.2.3", data_set(), 0xA900, id="PS3.4-B.2.3-instance-uid-of-command-differs"),
        pytest.param(CT, SOP, data_set(SOPClassUID=MR), 0xA900, id="PS3.4-B.2.3-class-of-data-set-differs"),
        pytest.param(MR, SOP, data_set(SOPClassUID=MR), 0xA900, id="PS3.4-B.2.3-class-of-context-differs"),
    ],
)
def test_e2_a_store_gets_its_status(peer: Peer, sop_class: str, sop: str, data: bytes, status: int) -> None:
    peer.send(message(3, COMMAND, store(sop, sop_class=sop_class)) + message(3, DATA, data))
    response = peer.response()
    assert int.from_bytes(response[0x0900], "little") == status
    assert (0x0902 in response) == (status != 0x0000)
    assert len(response.get(0x0902, b"")) <= 64


@pytest.mark.parametrize("mood", ["away", "full"])
def test_e2_a_store_that_is_down_or_full_is_out_of_resources(door: RunningDoor, peer: Peer, mood: str) -> None:
    moody(door.archive).mood = mood
    assert peer.store(SOP, data_set()) == 0xA700


def test_e2_the_offending_element_is_named(peer: Peer) -> None:
    peer.send(message(3, COMMAND, store(SOP)) + message(3, DATA, data_set(SeriesInstanceUID="")))
    assert peer.response()[0x0901] == b"\x20\x00\x0e\x00"


@pytest.mark.parametrize(
    ("context_id", "field", "sop_class"),
    [
        pytest.param(1, 0x0120, VERIFICATION, id="N-SET"),
        pytest.param(1, 0x0777, VERIFICATION, id="no-command-of-the-standard"),
    ],
)
def test_ps3_7_c_5_20_an_unrecognised_operation(peer: Peer, context_id: int, field: int, sop_class: str) -> None:
    command = request(field, data_set=WITH_DATA_SET, sop_class=sop_class)
    peer.send(message(context_id, COMMAND, command) + message(context_id, DATA, b"identifier"))
    response = peer.response()
    assert response[0x0900] == b"\x11\x02"
    assert int.from_bytes(response[0x0100], "little") == field | 0x8000


def test_ps3_7_c_5_6_storing_where_storage_was_not_agreed(peer: Peer) -> None:
    assert peer.store(SOP, data_set(), context_id=1) == 0x0122


@pytest.mark.parametrize(
    "field",
    [pytest.param(0x0020, id="C-FIND"), pytest.param(0x0010, id="C-GET"), pytest.param(0x0021, id="C-MOVE")],
)
def test_ps3_7_c_5_6_a_query_where_storage_was_agreed(peer: Peer, field: int) -> None:
    command = request(field, data_set=WITH_DATA_SET, sop_class=CT)
    peer.send(message(3, COMMAND, command) + message(3, DATA, b"identifier"))
    assert peer.status() == 0x0122


def test_e3_the_transfer_syntax_kept_is_that_of_the_context(door: RunningDoor, peer: Peer) -> None:
    assert peer.store(SOP, data_set()) == 0x0000
    record = door.archive.index.instance(ResourceRef("default", STUDY, SERIES, SOP))
    assert record is not None
    assert record.transfer_syntax_uid == EXPLICIT


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param(b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0", id="group-0002"),
        pytest.param(b"\x00\x00\x00\x01US\x02\x00\x01\x00", id="group-0000"),
    ],
)
def test_e4_groups_0000_and_0002_in_a_data_set_do_no_harm(door: RunningDoor, peer: Peer, prefix: bytes) -> None:
    assert peer.store(SOP, prefix + data_set()) == 0x0000
    assert peer.echo() == 0x0000


def test_e17_an_object_is_the_same_whichever_way_it_came(
    door: RunningDoor, peer: Peer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert peer.store(SOP, data_set()) == 0x0000
    ref = ResourceRef("default", STUDY, SERIES, SOP)
    other = open_test_archive(tmp_path_factory.mktemp("other"))
    receive(other, data_set())
    one, two = door.archive.index.instance(ref), other.index.instance(ref)
    assert one is not None
    assert two is not None
    assert (one.data_set_sha256, one.attributes, one.metadata_json) == (
        two.data_set_sha256, two.attributes, two.metadata_json,
    )  # fmt: skip
    other.close()
