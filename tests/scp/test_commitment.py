"""Storage Commitment Push with a real device: asked, verified, reported, tried again (PS3.4 Annex J; E15)."""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from bridge import commitment, identifiers
from bridge.jobs import Job
from bridge.settings import Commitment, Peer, Settings
from bridge.settings import Sender as SenderSettings
from scp.contexts import STORAGE_COMMITMENT
from tests.bridge.archives import SERIES, Clock, data_set, moody, receive
from tests.scp.device import INSTANCE, Device, asking, device
from tests.scp.running import PATIENCE_S, RunningDoor, running_door, settings, turn, wait_for
from tests.scp.wire import COMMAND, DATA, EXPLICIT, command, message, padded
from tests.scp.wire import Peer as RawPeer

A, B, UNKNOWN = f"{SERIES}.1", f"{SERIES}.2", f"{SERIES}.9"


def peer(port: int, **more: object) -> Peer:
    """The device's entry."""
    return Peer(name="ct-1", ae_title="CT01", host="127.0.0.1", port=port, **more)  # type: ignore[arg-type]


def known(*peers: Peer, **limits: object) -> Settings:
    """Settings with these peers, and a quick sender."""
    return replace(
        settings(peers=peers, connect_timeout_s=2.0, response_timeout_s=5.0),
        commitment=Commitment(**{"retry_s": 60.0, "attempts": 3, **limits}),  # type: ignore[arg-type]
        sender=SenderSettings(threads=2),
    )


@contextmanager
def archive_of(tmp_path: Path, wanted: Settings) -> Iterator[RunningDoor]:
    """A door over an archive with the instances A and B."""
    with running_door(tmp_path, wanted) as door:
        receive(door.archive, data_set(1))
        receive(door.archive, data_set(2))
        yield door


def jobs(door: RunningDoor) -> list[Job]:
    """All of them, latest first."""
    return list(door.archive.registry.jobs(commitment.KIND, limit=100))


def test_everything_committed_is_reported_on_a_new_association(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        assert modality.ask(door.port, "1.2.3", [A, B]) == 0x0000
        turn(door)
        report = modality.report()
        assert (report.event_type, report.transaction_uid) == (1, "1.2.3")
        assert (report.committed, report.failed) == ([A, B], {})
        assert [(job.state, job.attempts, job.problem) for job in jobs(door)] == [("done", 0, "")]
        turn(door)
        assert modality.reports.empty()


def test_every_reference_is_listed_in_one_of_the_two_sequences(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        assert modality.ask(door.port, "1.2.3", [A, UNKNOWN, B]) == 0x0000
        assert modality.ask(door.port, "1.2.4", [A], sop_class=MRImageStorage) == 0x0000
        turn(door)
        forward(door, seconds=2)  # one at a time for a device
        turn(door)
        first, second = sorted((modality.report(), modality.report()), key=lambda one: one.transaction_uid)
        assert (first.event_type, first.committed, first.failed) == (2, [A, B], {UNKNOWN: 0x0112})
        assert (second.event_type, second.committed, second.failed) == (2, [], {A: 0x0119})


def test_the_device_is_called_by_the_title_that_it_called(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        modality.ask(door.port, "1.2.3", [A], called="ARCHIVE2")
        turn(door)
        assert modality.report().calling_ae_title == "ARCHIVE2"


def test_landed_instances_are_waited_for(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        [record] = [one for one in door.archive.index.at_store("hot", limit=9) if one.ref.sop_instance_uid == A]
        store = moody(door.archive)
        kept = store._objects.pop(record.location.key)  # as if it were on its way
        modality.ask(door.port, "1.2.3", [A, B])
        turn(door)
        [job] = jobs(door)
        assert (job.state, job.problem) == ("waiting", "1 of 2 are not in the object store yet")
        store._objects[record.location.key] = kept
        forward(door, seconds=10)
        turn(door)
        assert modality.report().committed == [A, B]


def forward(door: RunningDoor, **passed: float) -> None:
    """Let time pass."""
    assert isinstance(door.archive.now, Clock)
    door.archive.now.forward(**passed)


def test_a_device_that_is_away_is_tried_again_and_in_the_end_given_up(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        modality.ask(door.port, "1.2.3", [A])
        port = modality.port
        away = replace(door.archive.settings, peers=(peer(1),))
        door.archive.settings = away
        turn(door)
        [job] = jobs(door)
        assert (job.state, job.attempts) == ("waiting", 1)
        assert "127.0.0.1:1 cannot be reached: nobody listens" in job.problem
        turn(door)
        assert jobs(door)[0].attempts == 1  # not before its time
        door.archive.settings = replace(away, peers=(peer(port),))
        forward(door, minutes=1)
        turn(door)
        assert modality.report().committed == [A]


def test_after_the_last_attempt_a_job_is_dead_and_says_why(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        modality.ask(door.port, "1.2.3", [A])
        door.archive.settings = replace(door.archive.settings, peers=())
        for _ in range(5):
            turn(door)
            forward(door, hours=2)
        [job] = jobs(door)
        assert (job.state, job.attempts) == ("dead", 3)
        assert "not among the peers any more" in job.problem
        door.archive.settings = replace(door.archive.settings, peers=(peer(modality.port),))
        assert (commitment.retry_dead(door.archive), commitment.retry_dead(door.archive)) == (1, 0)
        turn(door)
        assert modality.report().committed == [A]


@pytest.mark.parametrize("takes_reports", [True, False])
def test_a_device_that_does_not_take_the_report_is_tried_again(tmp_path: Path, takes_reports: bool) -> None:
    with (
        device(takes_reports=takes_reports) as modality,
        archive_of(tmp_path, known(peer(modality.port))) as door,
    ):
        modality.answer = 0x0110
        modality.ask(door.port, "1.2.3", [A])
        turn(door)
        [job] = jobs(door)
        assert (job.state, job.attempts) == ("waiting", 1)
        assert ("status 0x0110" if takes_reports else "not the service") in job.problem


def test_the_same_association_carries_the_report_for_a_peer_that_prefers_it(tmp_path: Path) -> None:
    with archive_of(tmp_path, known(peer(0, commitment_report="same"))) as door:
        modality = Device()
        assert modality.ask(door.port, "1.2.3", [A, UNKNOWN], stays=True) == 0x0000
        report = modality.report()
        assert (report.event_type, report.committed, report.failed) == (2, [A], {UNKNOWN: 0x0112})
        wait_for(lambda: jobs(door)[0].state == "done", "the job is done")


def test_a_caller_that_is_not_listed_hears_on_its_own_association(tmp_path: Path) -> None:
    with archive_of(tmp_path, known()) as door:
        modality = Device()
        assert modality.ask(door.port, "1.2.3", [A], stays=True) == 0x0000
        assert modality.report().committed == [A]


def test_who_hangs_up_before_the_report_gets_it_on_a_new_association(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port, commitment_report="same"))) as door:
        stalled, go_on = threading.Event(), threading.Event()
        read = moody(door.archive).read

        def slow(*arguments: object, **more: object) -> object:
            stalled.set()
            assert go_on.wait(PATIENCE_S)
            return read(*arguments, **more)  # type: ignore[arg-type]

        moody(door.archive).read = slow  # type: ignore[assignment, method-assign]
        caller = threading.Thread(target=modality.ask, args=(door.port, "1.2.3", [A]))
        caller.start()  # and releases at once
        assert stalled.wait(PATIENCE_S)
        go_on.set()
        caller.join(PATIENCE_S)
        wait_for(lambda: door.server.open() == 0, "the association is over")
        turn(door)
        assert modality.report().committed == [A]


def test_a_transaction_uid_that_was_used_is_a_duplicate(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        assert modality.ask(door.port, "1.2.3", [A]) == 0x0000
        assert modality.ask(door.port, "1.2.3", [B]) == 0x0131
        assert len(jobs(door)) == 1


def test_a_device_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with archive_of(tmp_path, known(peer(0))) as door:
        assert Device().ask(door.port, "1.2.3", [A]) == 0x0110
        assert jobs(door) == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"instance": "1.2.3.4"}, 0x0112),
        ({"action": 2}, 0x0123),
        ({"information": asking("", [A])}, 0x0115),
        ({"information": asking("1.2.3", [])}, 0x0115),
        ({"information": asking("not a uid", [A])}, 0x0115),
        ({"information": asking("1.2.3", ["../../etc"])}, 0x0115),
        ({"information": asking("1.2.3", [f"1.2.{n}" for n in range(11)])}, 0x0213),
    ],
)
def test_a_request_that_cannot_be_taken_on_is_refused(tmp_path: Path, changes: dict[str, object], status: int) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port), references=10)) as door:
        assert modality.ask(door.port, "1.2.3", [A], **changes) == status
        assert jobs(door) == []


def test_a_request_without_end_is_refused_by_its_size(tmp_path: Path) -> None:
    huge = Dataset()
    huge.TransactionUID = "1.2.3"
    huge.add_new(0x00091010, "OB", bytes(100_000))
    with device() as modality, archive_of(tmp_path, known(peer(modality.port), references=10)) as door:
        assert modality.ask(door.port, "1.2.3", [A], information=huge) == 0xA700


def test_a_peer_without_the_service_gets_no_context(tmp_path: Path) -> None:
    with archive_of(tmp_path, known(peer(0, services=("echo", "store")))) as door, pytest.raises(AssertionError):
        Device().ask(door.port, "1.2.3", [A])


def test_what_a_dead_sender_had_claimed_is_taken_up_by_another(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        modality.ask(door.port, "1.2.3", [A])
        now = door.archive.now()
        forward(door, seconds=1)
        assert door.archive.registry.claim_jobs(commitment.KIND, now=door.archive.now(), until=now, limit=1)
        turn(door)
        assert modality.report().committed == [A]


def test_old_jobs_are_forgotten_and_their_transaction_uids_are_free(tmp_path: Path) -> None:
    with device() as modality, archive_of(tmp_path, known(peer(modality.port))) as door:
        modality.ask(door.port, "1.2.3", [A])
        turn(door)
        forward(door, days=31)
        turn(door)
        assert jobs(door) == []
        assert modality.ask(door.port, "1.2.3", [A]) == 0x0000


def n_action(data_set: bytes) -> bytes:
    """N-ACTION-RQ on context 1, with this data set."""
    elements = [
        (0x0003, padded(STORAGE_COMMITMENT)),
        (0x0100, struct.pack("<H", 0x0130)),
        (0x0110, struct.pack("<H", 1)),
        (0x0800, struct.pack("<H", 1)),
        (0x1001, padded(INSTANCE)),
        (0x1008, struct.pack("<H", 1)),
    ]
    return message(1, COMMAND, command(elements)) + message(1, DATA, data_set)


def mutated(chance: random.Random) -> bytes:
    """A request of which some bytes are others, or missing, or too many."""
    document = {
        "00081195": {"vr": "UI", "Value": ["1.2.3"]},
        "00081199": {"vr": "SQ", "Value": [{"00081150": {"vr": "UI", "Value": ["1.2"]}}] * 3},
    }
    content = bytearray(identifiers.write(document, explicit=True))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content))
        what = chance.randrange(3)
        if what == 0:
            content[at] = chance.randrange(256)
        elif what == 1:
            del content[at : at + chance.randint(1, 8)]
        else:
            content[at:at] = chance.randbytes(chance.randint(1, 8))
    return bytes(content)


@pytest.mark.parametrize("seed", range(5))
def test_a_broken_request_is_refused_in_the_protocols_words(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(seed)
    with archive_of(tmp_path, known(peer(104))) as door, RawPeer(door.address) as raw:
        raw.associate((1, STORAGE_COMMITMENT, (EXPLICIT,)), calling="CT01")
        for _ in range(60):
            raw.send(n_action(mutated(chance)))
            assert raw.status() in (0x0115, 0xC000, 0xA700)
        text_for_sequence = {"00081195": {"vr": "UI", "Value": ["1.2.3"]}, "00081199": {"vr": "LO", "Value": ["x"]}}
        raw.send(n_action(identifiers.write(text_for_sequence, explicit=True)))
        assert raw.status() == 0x0115
    assert "Traceback" not in caplog.text
