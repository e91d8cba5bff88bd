"""From a finished study to its destinations: once, in order, again after failures, never blocking others."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.archive import Archive
from bridge.delete import delete
from bridge.forwarding import orders
from bridge.forwarding.delivery import Line, NotWanted, Unreachable, deliver_due
from bridge.forwarding.routing import forget_old, order_finished, read_feed
from bridge.settings import Forwarding, ForwardRule, Settings
from storage.index.registry import Job
from storage.records import InstanceRecord, ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, Clock, data_set, open_test_archive, receive

RULE = ForwardRule(name="on", to=("region",))


@dataclass
class Far:
    """A destination; `down` refuses the call, `unwanted` are refused for good, `breaks_after` cuts the line."""

    got: list[str] = field(default_factory=list)
    down: bool = False
    unwanted: set[str] = field(default_factory=set)
    breaks_after: int = 10**9

    @contextlib.contextmanager
    def courier(self, rule: ForwardRule) -> Iterator[Line]:
        if self.down:
            raise Unreachable("connection refused")
        yield self

    def send(self, record: InstanceRecord) -> None:
        uid = record.ref.sop_instance_uid or ""
        if uid in self.unwanted:
            raise NotWanted("0122H")
        if len(self.got) >= self.breaks_after:
            raise Unreachable("the line was cut")
        self.got.append(uid.rsplit(".", 1)[-1])


def opened(directory: Path, *rules: ForwardRule, **values: object) -> Archive:
    forwarding = Forwarding(progress_instances=2, attempts=3, **values)  # type: ignore[arg-type]
    return open_test_archive(directory, Settings(forward_rules=rules or (RULE,), forwarding=forwarding))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = opened(tmp_path)
    yield made
    made.close()


def clock(archive: Archive) -> Clock:
    assert isinstance(archive.now, Clock)
    return archive.now


def fill(archive: Archive, *numbers: int, **attributes: object) -> None:
    for number in numbers:
        receive(archive, data_set(number, **attributes))


def finish(archive: Archive) -> int:
    """Let the study become quiet; how many orders came of it."""
    read_feed(archive)
    clock(archive).forward(seconds=61)
    return order_finished(archive)


def deliver(archive: Archive, far: Far, name: str = "region") -> int:
    return deliver_due(archive, name, far.courier, threading.Event())


def order(archive: Archive, name: str = "region", priority: str = "normal") -> Job:
    [job] = archive.registry.jobs(orders.kind(name, priority), limit=10)
    return job


def test_a_study_is_sent_once_it_is_quiet_and_not_before(archive: Archive) -> None:
    far = Far()
    fill(archive, 2, 1)
    assert read_feed(archive) == 2
    assert order_finished(archive) == 0
    clock(archive).forward(seconds=50)
    fill(archive, 3)
    assert finish(archive) == 1
    deliver(archive, far)
    assert far.got == ["2", "1", "3"]
    assert order(archive).state == "done"


def test_a_study_that_is_finished_is_not_sent_again(archive: Archive) -> None:
    far = Far()
    fill(archive, 1)
    finish(archive)
    deliver(archive, far)
    fill(archive, 1)  # the same data set: a duplicate
    assert finish(archive) == 0
    assert deliver(archive, far) == 0
    assert far.got == ["1"]


def test_what_comes_later_is_sent_alone(archive: Archive) -> None:
    far = Far()
    fill(archive, 1, 2)
    finish(archive)
    deliver(archive, far)
    fill(archive, 3)
    assert finish(archive) == 1
    deliver(archive, far)
    assert far.got == ["1", "2", "3"]


def test_only_instances_that_the_rule_means_go_out(tmp_path: Path) -> None:
    archive = opened(tmp_path, replace(RULE, modalities=("MR",)))
    far = Far()
    fill(archive, 1)
    assert finish(archive) == 0
    fill(archive, 2, series=f"{SERIES}9", Modality="MR")
    assert finish(archive) == 1
    deliver(archive, far)
    assert far.got == ["2"]
    archive.close()


def test_a_destination_that_is_down_gets_everything_later(archive: Archive) -> None:
    far = Far(down=True)
    fill(archive, 1, 2)
    finish(archive)
    deliver(archive, far)
    waiting = order(archive)
    assert (waiting.state, waiting.attempts, waiting.problem) == ("waiting", 1, "connection refused")
    assert deliver(archive, far) == 0  # not yet
    far.down = False
    clock(archive).forward(seconds=16)
    deliver(archive, far)
    assert far.got == ["1", "2"]
    assert order(archive).state == "done"


def test_a_cut_line_goes_on_behind_the_last_instance_that_arrived(archive: Archive) -> None:
    far = Far(breaks_after=3)
    fill(archive, 1, 2, 3, 4, 5)
    finish(archive)
    deliver(archive, far)
    far.breaks_after = 10**9
    clock(archive).forward(seconds=16)
    deliver(archive, far)
    assert far.got == ["1", "2", "3", "4", "5"]


def test_after_a_crash_no_more_is_sent_again_than_was_not_remembered(archive: Archive) -> None:
    far = Far()
    fill(archive, 1, 2, 3)
    finish(archive)
    real, sent = far.send, []

    def dies_at_the_third(record: InstanceRecord) -> None:
        if len(sent) == 2:
            raise KeyboardInterrupt
        sent.append(record)
        real(record)

    far.send = dies_at_the_third  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        deliver(archive, far)
    far.send = real  # type: ignore[method-assign]
    assert deliver(archive, far) == 0  # the claim still holds
    clock(archive).forward(seconds=301)
    deliver(archive, far)
    assert far.got == ["1", "2", "3"]


def test_an_order_that_fails_too_often_is_dead_with_its_reason(archive: Archive) -> None:
    far = Far(down=True)
    fill(archive, 1)
    finish(archive)
    for _ in range(3):
        deliver(archive, far)
        clock(archive).forward(hours=1)
    dead = order(archive)
    assert (dead.state, dead.attempts, dead.problem) == ("dead", 3, "connection refused")


def test_a_refused_instance_does_not_keep_the_others(archive: Archive) -> None:
    far = Far(unwanted={f"{SERIES}.2"})
    fill(archive, 1, 2, 3)
    finish(archive)
    deliver(archive, far)
    assert far.got == ["1", "3"]
    dead = order(archive)
    assert (dead.state, dead.problem) == ("dead", "1 instances were refused, the first: 0122H")
    assert orders.unpack(dead).refused == ((f"{SERIES}.2", "0122H"),)


def test_a_dead_order_that_is_retried_sends_what_was_refused(archive: Archive) -> None:
    far = Far(unwanted={f"{SERIES}.1"})
    fill(archive, 1)
    finish(archive)
    deliver(archive, far)
    dead, now = order(archive), archive.now()
    archive.registry.renew_job(dead.kind, dead.key, target=dead.target, payload="", at=now, due_at=now)
    far.unwanted.clear()
    deliver(archive, far)
    assert far.got == ["1"]
    assert order(archive).state == "done"


def test_one_destination_does_not_wait_for_another(tmp_path: Path) -> None:
    archive = opened(tmp_path, replace(RULE, to=("region", "partner")))
    region, partner = Far(down=True), Far()
    fill(archive, 1)
    assert finish(archive) == 2
    deliver(archive, region)
    deliver(archive, partner, "partner")
    assert (region.got, partner.got) == ([], ["1"])
    archive.close()


def test_urgent_orders_go_first(tmp_path: Path) -> None:
    later, urgent = replace(RULE, modalities=("CT",), priority="low"), replace(RULE, name="now", priority="high")
    archive = opened(tmp_path, later, replace(urgent, modalities=("MR",)))
    far = Far()
    fill(archive, 1)
    fill(archive, 2, study=f"{STUDY}9", series=f"{SERIES}9", Modality="MR")
    finish(archive)
    deliver(archive, far)
    assert far.got == ["2", "1"]
    archive.close()


def test_a_rule_with_hours_waits_for_them(tmp_path: Path) -> None:
    archive = opened(tmp_path, replace(RULE, hours="22:00-06:00"))  # it is 16:00 in Shanghai
    far = Far()
    fill(archive, 1)
    finish(archive)
    deliver(archive, far)
    assert (far.got, order(archive).problem) == ([], "the rule sends at 22:00-06:00")
    clock(archive).forward(hours=6)
    deliver(archive, far)
    assert far.got == ["1"]
    archive.close()


def test_what_was_deleted_meanwhile_is_passed_over(archive: Archive) -> None:
    far = Far()
    fill(archive, 1, 2)
    finish(archive)
    delete(archive, ResourceRef("default", STUDY, SERIES, f"{SERIES}.1"), ORIGIN, override_retention=True)
    deliver(archive, far)
    assert far.got == ["2"]


def test_an_order_whose_rule_is_gone_is_dead(archive: Archive) -> None:
    fill(archive, 1)
    finish(archive)
    archive.settings = replace(archive.settings, forward_rules=())
    deliver(archive, Far())
    assert order(archive).problem == "there is no rule 'on' any more"


def test_stopping_puts_the_order_back(archive: Archive) -> None:
    fill(archive, 1, 2)
    finish(archive)
    stop, far = threading.Event(), Far()
    real = far.send

    def then_stop(record: InstanceRecord) -> None:
        real(record)
        stop.set()

    far.send = then_stop  # type: ignore[method-assign]
    deliver_due(archive, "region", far.courier, stop)
    assert far.got == ["1"]
    far.send = real  # type: ignore[method-assign]
    deliver(archive, far)
    assert far.got == ["1", "2"]


def test_old_orders_are_forgotten(archive: Archive) -> None:
    fill(archive, 1)
    finish(archive)
    deliver(archive, Far())
    clock(archive).forward(days=31)
    assert forget_old(archive) == 2
    assert archive.registry.jobs(orders.kind("region", "normal"), limit=10) == []


def test_without_rules_the_feed_is_left_alone(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path)
    fill(archive, 1)
    assert read_feed(archive) == 0
    assert archive.registry.cursor("forwarding") == 0
    archive.close()
