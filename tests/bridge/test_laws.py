"""The laws of data as a state machine with crashes: put, commit, delete, relocate, reclaim and sweep in any order.

The real verbs run on memory stores and SQLite. A crash is an exception thrown at a chosen step; the process's memory is
then forgotten, only stores and index remain. After every step each row's bytes are there with the right hash.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bridge import reclaim
from bridge.archive import HOT, Archive
from bridge.delete import delete
from bridge.errors import BridgeError, Gone, NotFound
from bridge.relocate import deliver_landing
from storage.records import InstanceRecord, Outcome, ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, data_set, moody, open_test_archive, receive

DATA = {(number, who): data_set(number, PatientID=who) for number in (1, 2) for who in ("P1", "P2")}


class PowerCut(Exception):
    """The machine stops here."""


class Laws(RuleBasedStateMachine):
    """What may happen to an archive, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.archive = open_test_archive(self.directory, landing=True)
        self.acknowledged: dict[int, set[str]] = {}

    def teardown(self) -> None:
        self.archive.close()
        shutil.rmtree(self.directory)

    @rule(
        number=st.sampled_from([1, 2]), who=st.sampled_from(["P1", "P2"]), crash=st.sampled_from(["", "put", "commit"])
    )
    def ingest(self, number: int, who: str, crash: str) -> None:
        sent = DATA[number, who]
        with pytest.MonkeyPatch.context() as patch:
            if crash == "put":
                patch.setattr(moody(self.archive), "put", _cut)
            if crash == "commit":
                patch.setattr(type(self.archive.index), "commit", _cut)
            try:
                receipt = receive(self.archive, sent)
            except (PowerCut, BridgeError):
                return
        if receipt.outcome in (Outcome.STORED, Outcome.DUPLICATE):
            self.acknowledged[number] = {hashlib.sha256(sent).hexdigest()}

    @rule(mood=st.sampled_from(["well", "well", "away", "full"]))
    def store_changes(self, mood: str) -> None:
        moody(self.archive).mood = mood

    @rule(number=st.sampled_from([1, 2]))
    def remove(self, number: int) -> None:
        try:
            delete(self.archive, _ref(number), ORIGIN, override_retention=True)
        except (NotFound, Gone):
            return
        self.acknowledged.pop(number, None)

    @rule(crash=st.booleans())
    def relocate(self, crash: bool) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if crash:
                patch.setattr(type(self.archive.index), "swap", _cut)
            try:
                deliver_landing(self.archive, limit=10)
            except PowerCut:
                return

    @rule()
    def reclaim_doomed(self) -> None:
        reclaim.reclaim(self.archive)

    @rule()
    def sweep(self) -> None:
        reclaim.sweep_orphans(self.archive)

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.archive.now.forward(hours=hours)  # type: ignore[attr-defined]  # the tests' Clock

    @invariant()
    def every_row_has_its_bytes(self) -> None:
        for number in (1, 2):
            record = self.archive.index.instance(_ref(number))
            if record is not None:
                assert _is_intact(self.archive, record)

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        for number, hashes in self.acknowledged.items():
            record = self.archive.index.instance(_ref(number))
            assert record is not None
            assert record.data_set_sha256 in hashes

    @invariant()
    def every_conflict_keeps_its_bytes(self) -> None:
        for conflict in self.archive.index.conflicts():
            assert _is_intact(self.archive, conflict.record)


def _ref(number: int) -> ResourceRef:
    return ResourceRef("default", STUDY, SERIES, f"{SERIES}.{number}")


def _is_intact(archive: Archive, record: InstanceRecord) -> bool:
    content, offset = b"".join(archive.read(record)), record.data_set_offset
    data_set_digest = hashlib.sha256(content[offset:])
    return (record.data_set_sha256, record.sha256) == (
        data_set_digest.hexdigest(), hashlib.sha256(content[:offset] + data_set_digest.digest()).hexdigest()
    )  # fmt: skip


def _cut(*_: object, **__: object) -> None:
    raise PowerCut


def test_the_laws_hold_in_any_order_with_crashes() -> None:
    run_state_machine_as_test(
        Laws,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking real verbs takes longer than the gate has
        ),
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_laws_hold_for_long() -> None:
    run_state_machine_as_test(
        Laws,
        settings=settings(
            max_examples=3000, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_store_that_is_away_is_no_reason_to_lose_a_landed_instance(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, landing=True)
    moody(archive).mood = "away"
    receive(archive, DATA[1, "P1"])
    assert deliver_landing(archive, limit=10).moved == 0
    moody(archive).mood = "well"
    assert deliver_landing(archive, limit=10).moved == 1
    record = archive.index.instance(_ref(1))
    assert isinstance(record, InstanceRecord)
    assert record.location.store == HOT
    archive.close()
