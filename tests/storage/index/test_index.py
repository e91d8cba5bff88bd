"""Every promise of `storage.index.base.Index`, on every database."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.errors import IngestExpired, InvalidQuery
from storage.index import SqlIndex, open_index, states
from storage.index.base import Bundle
from storage.query import Criterion, Empty, Query, Range, Single, Universal, Wildcard
from storage.records import Change, Level, Location, Outcome, ResourceRef, Retention
from tests.storage.index.building import (
    CT,
    MORNING,
    MR,
    PERSON,
    SCANNER,
    Clock,
    attributes,
    find,
    keep,
    key,
    record,
    ref,
    study_found,
)

NAME = (0x00100010,)
PATIENT_ID = (0x00100020,)


def _doomed(index: SqlIndex) -> list[Location]:
    later = index.now() + timedelta(days=1)
    return [doomed.location for doomed in index.doomed(before=later, limit=100)]


# ---- commit ----


def test_a_committed_instance_comes_back_as_it_was(index: SqlIndex) -> None:
    term = Retention(
        retention_class="cn-ip-30",
        policy="cn@1",
        start=MORNING,
        until=MORNING + timedelta(days=10957),
        flags=("expired-on-arrival",),
    )
    one = record(
        frame_table=b"frames", bulk_table=b"bulk", retention=term, legal_hold=True,
        location=Location("hot", key(ref()), "v1"),
    )  # fmt: skip
    assert keep(index, one).outcome is Outcome.STORED
    assert index.instance(one.ref) == one


def test_a_commit_writes_row_counts_and_event_together(index: SqlIndex) -> None:
    committed = keep(index, record())
    assert committed.event is not None
    assert committed.event.change is Change.STORED
    assert index.events(after=0, limit=10) == [committed.event]
    found = study_found(index)
    assert found is not None
    assert found.attributes["NumberOfStudyRelatedInstances"] == "1"
    assert found.revision == committed.event.seq


def test_the_same_data_set_again_is_a_duplicate_that_writes_nothing_but_its_location(index: SqlIndex) -> None:
    keep(index, record())
    again = record(location=Location("hot", "default/elsewhere"))
    assert keep(index, again).outcome is Outcome.DUPLICATE
    assert len(index.events(after=0, limit=10)) == 1
    assert _doomed(index) == [again.location]


def test_the_same_location_again_is_the_same_commit(index: SqlIndex) -> None:
    keep(index, record())
    again = keep(index, record())
    assert (again.outcome, again.event) == (Outcome.STORED, None)
    assert _doomed(index) == []


def test_other_content_is_kept_beside_the_first(index: SqlIndex, clock: Clock) -> None:
    first, second = record(), record(content="b")
    keep(index, first)
    clock.pass_by(60)
    committed = keep(index, second, origin=PERSON)
    assert committed.outcome is Outcome.CONFLICT
    assert committed.event is not None
    assert committed.event.change is Change.CONFLICTED
    assert index.instance(first.ref) == first
    (kept,) = index.conflicts("default")
    assert (kept.record, kept.origin, kept.seen_at) == (second, PERSON, clock())
    assert _doomed(index) == []


def test_a_conflict_is_kept_once(index: SqlIndex) -> None:
    keep(index, record())
    second = record(content="b")
    keep(index, second)
    again = replace(second, location=Location("hot", "default/again"))
    assert keep(index, again).outcome is Outcome.CONFLICT
    assert keep(index, second).outcome is Outcome.CONFLICT
    assert len(index.conflicts()) == 1
    assert _doomed(index) == [again.location]


def test_the_same_content_in_another_series_is_a_conflict(index: SqlIndex) -> None:
    first = record()
    keep(index, first)
    moved = replace(
        first,
        ref=replace(first.ref, series_instance_uid="1.2.1.9"),
        location=Location("hot", "default/moved"),
    )
    assert keep(index, moved).outcome is Outcome.CONFLICT
    assert index.instance(moved.ref) is None


def test_replace_puts_the_second_in_the_place_of_the_first(index: SqlIndex) -> None:
    first, second = record(), record(content="b")
    keep(index, first)
    committed = keep(index, second, duplicates="replace")
    assert committed.outcome is Outcome.REPLACED
    assert committed.event is not None
    assert committed.event.change is Change.REPLACED
    assert index.instance(first.ref) == second
    assert _doomed(index) == [first.location]
    assert index.tally().instances == 1


def test_replace_can_move_an_instance_to_another_study(index: SqlIndex) -> None:
    first = record()
    keep(index, first)
    second = record(2, 1, 1, sop_class_uid=MR)
    second = replace(second, ref=replace(second.ref, sop_instance_uid=first.ref.sop_instance_uid))
    keep(index, second, duplicates="replace")
    assert index.instance(first.ref) is None
    assert index.instance(second.ref) == second
    assert find(index, Level.STUDY) == ["1.2.2"]


def test_reject_keeps_nothing_of_the_second(index: SqlIndex) -> None:
    first, second = record(), record(content="b")
    keep(index, first)
    assert keep(index, second, duplicates="reject").outcome is Outcome.REJECTED
    assert index.instance(first.ref) == first
    assert index.conflicts() == []
    assert _doomed(index) == [second.location]


def test_a_commit_long_after_its_put_is_refused(index: SqlIndex) -> None:
    with pytest.raises(IngestExpired):
        index.commit(record(), SCANNER, put_at=index.now() - timedelta(hours=2), duplicates="keep-first")
    assert index.events(after=0, limit=1) == []


def test_a_location_that_waits_for_reclaim_is_never_taken_again(index: SqlIndex) -> None:
    keep(index, record())
    index.remove(ref(), PERSON)
    with pytest.raises(IngestExpired):
        keep(index, record())
    assert index.instance(ref()) is None


def test_sites_do_not_see_each_other(index: SqlIndex) -> None:
    here, there = record(), record(site="clinic")
    keep(index, here)
    assert keep(index, there).outcome is Outcome.STORED
    assert index.instance(here.ref) == here
    assert index.instance_by_sop("clinic", "1.2.1.1.1") == there
    assert index.instance_by_sop("nowhere", "1.2.1.1.1") is None
    assert find(index, Level.STUDY, scope=ref(1, None, None, site="clinic")) == []
    assert (index.tally("clinic").instances, index.tally().instances) == (1, 2)


def test_text_that_no_database_takes_is_cleaned(index: SqlIndex) -> None:
    keep(
        index, record(attributes=attributes(PatientID="A\0B", StudyDescription="x\ud800y", AccessionNumber="9" * 5000))
    )
    found = study_found(index)
    assert found is not None
    assert found.attributes["PatientID"] == "AB"
    assert found.attributes["StudyDescription"] == "x?y"
    assert found.attributes["AccessionNumber"] == "9" * 512


# ---- whose attributes a study shows ----


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_first_received_instance_wins_whatever_the_order_of_commits(
    index: SqlIndex, order: tuple[int, ...]
) -> None:
    for number in order:
        own = attributes(PatientName=f"Name^{number}", SeriesDescription=f"series {number}", Modality=f"M{number}")
        keep(index, record(1, 1, number, attributes=own))
    found = study_found(index)
    assert found is not None
    assert found.attributes["PatientName"] == "Name^1"
    assert found.attributes["ModalitiesInStudy"] == "M1"
    assert find(index, Level.STUDY, (NAME, "PN", Single("name^1"))) == ["1.2.1"]
    assert find(index, Level.STUDY, (NAME, "PN", Wildcard("*me^2*"))) == []
    assert any('"disagrees":1' in line for line in index.dump())


def test_equal_times_are_settled_by_the_uid(index: SqlIndex) -> None:
    for number in (2, 1):
        keep(index, record(1, 1, number, received_at=MORNING, attributes=attributes(PatientID=f"P{number}")))
    found = study_found(index)
    assert found is not None
    assert found.attributes["PatientID"] == "P1"


def test_each_instance_keeps_its_own_attributes(index: SqlIndex) -> None:
    records = [record(1, 1, number, attributes=attributes(PatientID=f"P{number}")) for number in (1, 2)]
    for one in records:
        keep(index, one)
    assert [index.instance(one.ref) for one in records] == records


def test_when_the_winner_goes_the_next_one_is_shown(index: SqlIndex) -> None:
    for number in (1, 2, 3):
        keep(index, record(1, 1, number, attributes=attributes(PatientID=f"P{number}", Modality=f"M{number}")))
    index.remove(ref(1, 1, 1), PERSON)
    found = study_found(index)
    assert found is not None
    assert (found.attributes["PatientID"], found.attributes["ModalitiesInStudy"]) == ("P2", "M2")
    assert find(index, Level.STUDY, (PATIENT_ID, "LO", Wildcard("*P1*"))) == []
    index.remove(ref(1, 1, 2), PERSON)
    assert any('"disagrees":0' in line for line in index.dump())
    assert find(index, Level.STUDY, (PATIENT_ID, "LO", Wildcard("*P3*"))) == ["1.2.1"]


def test_modalities_and_classes_of_a_study_follow_its_series(index: SqlIndex) -> None:
    keep(index, record(1, 1, 1))
    keep(index, record(1, 2, 1, sop_class_uid=MR, attributes=attributes(Modality="MR")))
    keep(index, record(1, 3, 1, sop_class_uid=MR, attributes=attributes(Modality="MR")))
    found = study_found(index)
    assert found is not None
    assert found.attributes["ModalitiesInStudy"] == "CT\\MR"
    assert set(found.attributes["SOPClassesInStudy"].split("\\")) == {CT, MR}
    index.remove(ref(1, 2, None), PERSON)
    assert find(index, Level.STUDY, ((0x00080061,), "CS", Single("MR"))) == ["1.2.1"]
    index.remove(ref(1, 3, None), PERSON)
    assert find(index, Level.STUDY, ((0x00080061,), "CS", Single("MR"))) == []
    found = study_found(index)
    assert found is not None
    assert found.attributes["SOPClassesInStudy"] == CT
    assert found.attributes["NumberOfStudyRelatedSeries"] == "1"


# ---- reading ----


def test_an_instance_is_found_only_at_its_study_and_series(index: SqlIndex) -> None:
    keep(index, record())
    assert index.instance(ResourceRef("default", "1.2.1", "1.2.1.2", "1.2.1.1.1")) is None
    assert index.instance(ResourceRef("default", "1.2.2", "1.2.1.1", "1.2.1.1.1")) is None
    assert index.instance_by_sop("default", "1.2.1.1.1") is not None


def test_instances_are_paged_in_uid_order_without_metadata(index: SqlIndex) -> None:
    for number in (3, 1, 2):
        keep(index, record(1, 1, number))
    keep(index, record(1, 2, 1))
    page = index.instances(ref(1, None, None), limit=2)
    assert [one.ref for one in page] == [ref(1, 1, 1), ref(1, 1, 2)]
    assert page[0] == replace(record(1, 1, 1), metadata_json=None)
    rest = index.instances(ref(1, None, None), after="1.2.1.1.2", limit=10)
    assert [one.ref for one in rest] == [ref(1, 1, 3), ref(1, 2, 1)]
    assert [one.ref for one in index.instances(ref(1, 2, None))] == [ref(1, 2, 1)]
    assert index.instances(ref(9, None, None)) == []


def test_instances_are_paged_in_the_order_in_which_they_came(index: SqlIndex) -> None:
    for series, instance in ((2, 1), (1, 2), (1, 1)):
        keep(index, record(1, series, instance))
    keep(index, record(2, 1, 1))
    page = index.arrivals(ref(1, None, None), after=0, limit=2)
    assert [(one.seq, one.record.ref) for one in page] == [(1, ref(1, 2, 1)), (2, ref(1, 1, 2))]
    assert page[0].record == replace(record(1, 2, 1), metadata_json=None)
    assert [one.record.ref for one in index.arrivals(ref(1, None, None), after=2, limit=9)] == [ref(1, 1, 1)]
    keep(index, record(1, 1, 2, content="b"), duplicates="replace")
    assert [one.record.ref for one in index.arrivals(ref(1, None, None), after=4, limit=9)] == [ref(1, 1, 2)]


def test_metadata_comes_by_series_number_and_instance_number(index: SqlIndex) -> None:
    for series, instance in ((10, 1), (2, 10), (2, 9)):
        keep(index, record(1, series, instance, bulk_table=b"bulk"))
    unnumbered = attributes(SeriesNumber="2", InstanceNumber="")
    keep(index, record(1, 2, 1, attributes=unnumbered))
    rows = index.metadata(ref(1, None, None))
    assert [row.ref for row in rows] == [ref(1, 2, 9), ref(1, 2, 10), ref(1, 2, 1), ref(1, 10, 1)]
    assert rows[0].metadata_json == b"metadata of 1.2.1.2.9"
    assert rows[0].bulk_table == b"bulk"
    assert [row.ref for row in index.metadata(ref(1, 10, 1))] == [ref(1, 10, 1)]


def test_a_revision_is_the_seq_of_the_last_change_at_or_below(index: SqlIndex) -> None:
    for series, instance in ((1, 1), (1, 2), (2, 1)):
        keep(index, record(1, series, instance))
    seen = [index.revision(one) for one in (ref(1, None, None), ref(1, 1, None), ref(1, 2, None), ref(1, 1, 1))]
    assert seen == [3, 2, 3, 1]
    assert index.revision(ref(2, None, None)) is None
    assert index.revision(ref(1, 2, 9)) is None
    index.remove(ref(1, 1, 1), PERSON)
    assert [index.revision(one) for one in (ref(1, None, None), ref(1, 1, None), ref(1, 2, None))] == [4, 4, 3]


def test_the_feed_is_read_in_pages(index: SqlIndex) -> None:
    for number in range(1, 6):
        keep(index, record(1, 1, number))
    assert [event.seq for event in index.events(after=1, limit=3)] == [2, 3, 4]
    assert index.events(after=5, limit=3) == []


# ---- moving ----


def test_a_swap_changes_the_location_and_queues_the_old_one(index: SqlIndex) -> None:
    one = record(location=Location("landing@n1", key(ref())))
    keep(index, one)
    new = Location("hot", key(ref()), "v7")
    assert index.swap(one, new, SCANNER, put_at=index.now())
    assert index.instance(one.ref) == replace(one, location=new)
    assert _doomed(index) == [one.location]
    assert [event.change for event in index.events(after=1, limit=9)] == [Change.RELOCATED]
    assert index.revision(ref(1, None, None)) == 2


def test_a_swap_of_a_row_that_moved_or_went_does_nothing(index: SqlIndex) -> None:
    one = record()
    keep(index, one)
    moved = replace(one, location=Location("hot", "default/before"))
    assert not index.swap(moved, Location("cold", "default/x"), SCANNER, put_at=index.now())
    index.remove(one.ref, PERSON)
    assert not index.swap(one, Location("cold", "default/x"), SCANNER, put_at=index.now())
    assert _doomed(index) == [one.location]


def test_a_swap_that_is_asked_for_again_is_done_once(index: SqlIndex) -> None:
    one, new = record(), Location("cold", "default/x")
    keep(index, one)
    assert index.swap(one, new, SCANNER, put_at=index.now())
    assert index.swap(one, new, SCANNER, put_at=index.now())
    assert len(index.events(after=0, limit=9)) == 2


def test_a_late_swap_is_refused(index: SqlIndex) -> None:
    keep(index, record())
    with pytest.raises(IngestExpired):
        index.swap(record(), Location("cold", "x"), SCANNER, put_at=index.now() - timedelta(hours=2))


def test_a_study_with_cold_bytes_is_nearline(index: SqlIndex) -> None:
    one = record()
    keep(index, one)
    found = study_found(index)
    assert found is not None
    assert found.attributes["InstanceAvailability"] == "ONLINE"
    index.swap(one, Location("cold", "default/x"), SCANNER, put_at=index.now())
    found = study_found(index)
    assert found is not None
    assert found.attributes["InstanceAvailability"] == "NEARLINE"


def test_instances_at_a_store_come_oldest_first(index: SqlIndex) -> None:
    for number in (3, 1, 2):
        keep(index, record(1, 1, number, location=Location("landing@n1", f"default/{number}"), size_bytes=number))
    keep(index, record(2))
    assert [one.ref for one in index.at_store("landing@n1", limit=2)] == [ref(1, 1, 1), ref(1, 1, 2)]
    assert index.size_at("landing@n1") == 6
    assert index.size_at("landing@n2") == 0


# ---- removing ----


def test_removing_a_study_drops_all_below_and_remembers_it(index: SqlIndex) -> None:
    for series, instance in ((1, 1), (1, 2), (2, 1)):
        keep(index, record(1, series, instance))
    keep(index, record(2))
    events = index.remove(ref(1, None, None), PERSON)
    assert [event.change for event in events] == [Change.REMOVED] * 3
    assert events == index.events(after=4, limit=9)
    assert index.instances(ref(1, None, None)) == []
    assert find(index, Level.STUDY) == ["1.2.2"]
    assert len(_doomed(index)) == 3
    for gone in (ref(1, None, None), ref(1, 2, None), ref(1, 1, 2)):
        assert index.was_removed(gone)
    assert not index.was_removed(ref(1, 1, 3))
    assert not index.was_removed(ref(2, None, None))
    tally = index.tally()
    assert (tally.studies, tally.series, tally.instances, tally.size_bytes) == (1, 1, 1, 1000)


def test_removing_an_instance_leaves_the_rest(index: SqlIndex) -> None:
    for number in (1, 2):
        keep(index, record(1, 1, number, size_bytes=number))
    assert len(index.remove(ref(1, 1, 1), PERSON)) == 1
    found = study_found(index)
    assert found is not None
    assert found.attributes["NumberOfStudyRelatedInstances"] == "1"
    assert index.was_removed(ref(1, 1, 1))
    assert not index.was_removed(ref(1, 1, None))


def test_removing_what_is_not_there_does_nothing(index: SqlIndex) -> None:
    assert index.remove(ref(), PERSON) == []
    assert index.events(after=0, limit=1) == []
    assert not index.was_removed(ref())


def test_what_came_after_the_caller_looked_is_not_removed(index: SqlIndex) -> None:
    keep(index, record(1, 1, 1))
    seen = index.revision(ref(1, None, None))
    keep(index, record(1, 1, 2))
    assert [event.ref for event in index.remove(ref(1, None, None), PERSON, up_to=seen)] == [ref(1, 1, 1)]
    assert index.instance(ref(1, 1, 2)) is not None
    assert index.was_removed(ref(1, 1, 1))
    assert not index.was_removed(ref(1, None, None))


def test_a_removed_instance_can_come_back(index: SqlIndex) -> None:
    keep(index, record())
    index.remove(ref(1, None, None), PERSON)
    assert keep(index, record(content="b")).outcome is Outcome.STORED
    assert not index.was_removed(ref())
    index.remove(ref(1, None, None), PERSON)
    assert index.was_removed(ref())


def test_removing_takes_the_conflicts_below_along(index: SqlIndex) -> None:
    keep(index, record())
    keep(index, record(content="b"))
    index.remove(ref(1, None, None), PERSON)
    assert index.conflicts() == []
    assert len(_doomed(index)) == 2


# ---- reclaim ----


def test_doomed_locations_come_by_id_after_their_time(index: SqlIndex, clock: Clock) -> None:
    for number in (1, 2):
        keep(index, record(1, 1, number))
        index.remove(ref(1, 1, number), PERSON)
        clock.pass_by(60)
    assert [one.location.key for one in index.doomed(before=MORNING + timedelta(seconds=30), limit=9)] == [
        key(ref(1, 1, 1))
    ]
    first, second = index.doomed(before=clock(), limit=9)
    assert first.doomed_id < second.doomed_id
    assert index.doomed(before=clock(), after=first.doomed_id, limit=9) == [second]
    index.reclaimed([first.doomed_id])
    assert index.doomed(before=clock(), limit=9) == [second]


def test_referenced_names_every_key_that_something_still_needs(index: SqlIndex) -> None:
    here, odd = record(), record(1, 1, 2, location=Location("hot", "somewhere/odd"))
    second, gone = record(content="b"), record(1, 1, 3)
    for one in (here, odd, second, gone):
        keep(index, one)
    index.remove(gone.ref, PERSON)
    revision = index.revision(ref(1, 1, None))
    assert revision is not None
    bundle = Bundle(ref=ref(1, 1, None), location=Location("hot", "bundles/1"), revision=revision)
    assert index.add_bundle(bundle)
    needed = {one.location.key for one in (here, odd, second, gone)} | {"bundles/1"}
    orphan = key(ref(1, 1, 1), "c")
    assert index.referenced("hot", [*needed, orphan, "stray"]) == needed
    assert index.referenced("cold", sorted(needed)) == set()


# ---- conflicts ----


def test_promoting_puts_the_second_first_and_keeps_the_first_beside(index: SqlIndex) -> None:
    first, second = record(), record(content="b")
    keep(index, first)
    keep(index, second, origin=PERSON)
    (kept,) = index.conflicts()
    event = index.promote(kept.conflict_id, PERSON)
    assert event is not None
    assert event.change is Change.REPLACED
    assert index.instance(first.ref) == second
    (other,) = index.conflicts()
    assert (other.record, other.origin) == (first, SCANNER)
    assert other.conflict_id != kept.conflict_id
    assert index.promote(kept.conflict_id, PERSON) is None
    assert _doomed(index) == []


def test_dismissing_drops_the_second(index: SqlIndex) -> None:
    keep(index, record())
    keep(index, record(content="b"))
    (kept,) = index.conflicts()
    assert index.dismiss(kept.conflict_id)
    assert index.conflicts() == []
    assert _doomed(index) == [kept.record.location]
    assert not index.dismiss(kept.conflict_id)


# ---- bundles ----


def test_a_bundle_takes_the_metadata_of_an_unchanged_series(index: SqlIndex, clock: Clock) -> None:
    keep(index, record())
    clock.pass_by(60)
    ((series, revision),) = index.quiet_series(before=clock(), limit=9)
    assert series == ref(1, 1, None)
    bundle = Bundle(ref=series, location=Location("hot", "bundles/1"), revision=revision)
    assert index.add_bundle(bundle)
    assert index.bundle(series) == bundle
    assert [row.metadata_json for row in index.metadata(series)] == [None]
    assert index.quiet_series(before=clock(), limit=9) == []


def test_a_bundle_of_an_older_revision_is_refused(index: SqlIndex) -> None:
    keep(index, record())
    keep(index, record(1, 1, 2))
    stale = Bundle(ref=ref(1, 1, None), location=Location("hot", "bundles/1"), revision=1)
    assert not index.add_bundle(stale)
    assert index.bundle(ref(1, 1, None)) is None


def test_a_newer_bundle_dooms_the_older_and_removal_dooms_the_last(index: SqlIndex, clock: Clock) -> None:
    for number in (1, 2):
        keep(index, record(1, 1, number))
        clock.pass_by(60)
        ((series, revision),) = index.quiet_series(before=clock(), limit=9)
        index.add_bundle(Bundle(ref=series, location=Location("hot", f"bundles/{number}"), revision=revision))
    assert [one.key for one in _doomed(index)] == ["bundles/1"]
    index.remove(ref(1, None, None), PERSON)
    assert "bundles/2" in {one.key for one in _doomed(index)}


# ---- search ----


def test_studies_come_newest_first_and_undated_last(index: SqlIndex) -> None:
    days = {1: "20260101", 2: "", 3: "20260301", 4: "20260101", 5: "20260101"}
    times = {4: "1015", 5: "0900"}
    for study, day in days.items():
        own = attributes(StudyDate=day, StudyTime=times.get(study, ""))
        keep(index, record(study, attributes=own))
    assert find(index, Level.STUDY) == ["1.2.3", "1.2.4", "1.2.5", "1.2.1", "1.2.2"]


def test_pages_join_without_gap_and_say_what_is_left(index: SqlIndex) -> None:
    for study in range(1, 8):
        keep(index, record(study))
    query = Query(site="default", level=Level.STUDY, criteria=(), limit=3)
    pages = [index.search(replace(query, offset=offset)) for offset in (0, 3, 6, 9)]
    assert [page.remaining for page in pages] == [4, 1, 0, 0]
    joined = [found.ref.study_instance_uid for page in pages for found in page.found]
    assert joined == [f"1.2.{study}" for study in range(1, 8)]
    empty = index.search(replace(query, limit=0))
    assert (list(empty.found), empty.remaining) == ([], 7)


def test_counts_are_exact_after_a_change(index: SqlIndex) -> None:
    for study in range(1, 6):
        keep(index, record(study))
    query = Query(site="default", level=Level.STUDY, limit=1, intervals=(), criteria=())
    named = replace(query, criteria=(Criterion(NAME, "PN", Wildcard("zhang*")),))
    assert index.search(named).remaining == 4
    index.remove(ref(1, None, None), PERSON)
    assert index.search(named).remaining == 3
    keep(index, record(7))
    assert index.search(named).remaining == 4


def test_a_result_has_the_attributes_of_its_level_and_above(index: SqlIndex) -> None:
    keep(index, record())
    page = index.search(Query(site="default", level=Level.INSTANCE))
    (found,) = page.found
    assert found.ref == ref()
    assert found.attributes["PatientName"] == "Zhang^San=张^三"
    assert found.attributes["Modality"] == "CT"
    assert found.attributes["SOPClassUID"] == CT
    assert found.attributes["NumberOfSeriesRelatedInstances"] == "1"
    assert found.attributes["AvailableTransferSyntaxUID"] == record().transfer_syntax_uid
    assert "StudyDescription" not in found.attributes
    series = index.search(Query(site="default", level=Level.SERIES)).found[0]
    assert "SOPClassUID" not in series.attributes


@pytest.mark.parametrize("level", list(Level))
def test_what_is_wanted_comes_as_in_a_whole_result_and_nothing_else(index: SqlIndex, level: Level) -> None:
    for study in (1, 2):
        keep(index, record(study))
    whole = Query(site="default", level=level)
    wanted = ("PatientName", "Modality", "NumberOfStudyRelatedInstances", "InstanceNumber", "StudyID", "NoSuchThing")
    kept = {*wanted, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "InstanceAvailability"}
    for some, all_there_is in zip(
        index.search(replace(whole, wanted=wanted)).found, index.search(whole).found, strict=True
    ):
        assert (some.ref, some.revision) == (all_there_is.ref, all_there_is.revision)
        assert some.attributes == {
            keyword: text for keyword, text in all_there_is.attributes.items() if keyword in kept
        }
        assert some.attributes["PatientName"] == "Zhang^San=张^三"


def test_a_scope_is_never_ignored(index: SqlIndex) -> None:
    for study in (1, 2):
        keep(index, record(study))
    assert find(index, Level.SERIES, scope=ref(1, None, None)) == ["1.2.1.1"]
    assert find(index, Level.INSTANCE, scope=ref(2, 1, None)) == ["1.2.2.1.1"]
    assert find(index, Level.SERIES, scope=ref(9, None, None)) == []
    other = ((0x0020000D,), "UI", Single("1.2.2"))
    assert find(index, Level.SERIES, other, scope=ref(1, None, None)) == []


def test_a_query_the_index_cannot_answer_is_refused(index: SqlIndex) -> None:
    keep(index, record())
    for level, path, vr, matcher in (
        (Level.STUDY, (0x00181030,), "LO", Single("x")),
        (Level.INSTANCE, (0x00189073,), "FD", Single("1")),
        (Level.STUDY, (0x0020000D,), "UI", Wildcard("1.*")),
        (Level.STUDY, PATIENT_ID, "LO", Range("a", "b")),
    ):
        with pytest.raises(InvalidQuery):
            find(index, level, (path, vr, matcher))


def test_case_counts_but_for_person_names(index: SqlIndex) -> None:
    keep(index, record(1, attributes=attributes(PatientID="AbC", PatientName="Müller^Jörg")))
    assert find(index, Level.STUDY, (PATIENT_ID, "LO", Single("abc"))) == []
    assert find(index, Level.STUDY, (PATIENT_ID, "LO", Wildcard("ab*"))) == []
    assert find(index, Level.STUDY, (PATIENT_ID, "LO", Wildcard("*bC"))) == ["1.2.1"]
    assert find(index, Level.STUDY, (NAME, "PN", Wildcard("*MULLER*"))) == ["1.2.1"]


@pytest.mark.parametrize("special", ["%", "_", "[a]", "\\", "'", "^", "]"])
def test_characters_special_to_a_database_are_plain(index: SqlIndex, special: str) -> None:
    text = f"x{special}y" if special != "\\" else "x y"
    keep(index, record(1, attributes=attributes(StudyDescription=text)))
    keep(index, record(2, attributes=attributes(StudyDescription="xay")))
    wanted = ((0x00081030,), "LO", Wildcard(f"*{text}*"))
    assert find(index, Level.STUDY, wanted) == ["1.2.1"]
    assert find(index, Level.STUDY, ((0x00081030,), "LO", Wildcard(f"{text}*"))) == ["1.2.1"]


def test_universal_and_empty_tell_absent_from_present(index: SqlIndex) -> None:
    keep(index, record(1, attributes=attributes(StudyDescription="  ")))
    keep(index, record(2, attributes=attributes(StudyDescription="head")))
    path = (0x00081030,)
    assert find(index, Level.STUDY, (path, "LO", Universal())) == ["1.2.1", "1.2.2"]
    assert find(index, Level.STUDY, (path, "LO", Empty())) == ["1.2.1"]


def test_a_search_finds_much_or_little_in_the_same_order(index: SqlIndex) -> None:
    """The two ways to an answer (sort few candidates, or read in order) agree."""
    for study in range(1, 41):
        own = attributes(StudyDate=f"202601{study % 28 + 1:02}", PatientName=f"Li^{study}", PatientID=f"P{study % 4}")
        keep(index, record(study, attributes=own))
    everything = find(index, Level.SERIES, limit=100)
    some = find(index, Level.SERIES, (NAME, "PN", Wildcard("*i^*")), limit=100)
    assert some == everything
    assert (
        find(index, Level.INSTANCE, (NAME, "PN", Wildcard("li^1*")), limit=5)
        == [f"{uid}.1" for uid in everything if uid.split(".")[2].startswith("1")][:5]
    )


# ---- the whole ----


def test_a_dump_tells_content_and_not_history(index: SqlIndex, url: str, clock: Clock, tmp_path: object) -> None:
    for study, series, instance in ((1, 1, 1), (1, 1, 2), (2, 1, 1)):
        keep(index, record(study, series, instance))
    before = list(index.dump())
    keep(index, record(3))
    index.remove(ref(3, None, None), PERSON)
    clock.pass_by(99)
    assert list(index.dump()) == before
    assert [line.split()[0] for line in before] == [
        "study",
        "series",
        "instance",
        "instance",
        "study",
        "series",
        "instance",
    ]
    keep(index, record(content="b"))
    assert len(list(index.dump())) == len(before) + 1


def test_a_tally_counts_by_store(index: SqlIndex) -> None:
    keep(index, record())
    keep(index, record(1, 1, 2, location=Location("landing@n1", "x")))
    keep(index, record(content="b"))
    tally = index.tally("default")
    assert dict(tally.by_store) == {"hot": 1, "landing@n1": 1}
    assert (tally.conflicts, tally.waiting_for_reclaim) == (1, 0)


def test_close_finishes_what_waits(url: str) -> None:
    index = open_index(url)
    threads = [threading.Thread(target=keep, args=(index, record(1, 1, number))) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index.ping()
    index.close()
    again = open_index(url)
    assert len(again.instances(ref(1, None, None))) == 8
    again.close()


def test_a_study_is_found_by_three_letters_whether_its_grams_wait_or_are_merged(
    index: SqlIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "GRAMS_TOGETHER", 4)
    for number in range(1, 11):
        keep(index, record(number, attributes={"PatientID": f"ID{number:03d}X"}))
        found = [uid for known in range(1, 11) for uid in find(index, Level.STUDY, _contains(f"D{known:03d}"))]
        assert found == [f"1.2.{known}" for known in range(1, number + 1)]
    for number in (1, 10):  # merged long ago; waiting still
        index.remove(ref(number, None, None), SCANNER)
        assert find(index, Level.STUDY, _contains(f"D{number:03d}")) == []


def _contains(letters: str) -> tuple[tuple[int, ...], str, Wildcard]:
    return PATIENT_ID, "LO", Wildcard(f"*{letters}*")
