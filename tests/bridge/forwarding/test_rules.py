"""What a forwarding rule means, and when it may send."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from bridge.errors import ConfigError
from bridge.forwarding.rules import Hours, check, hours_of, means
from bridge.settings import ForwardRule
from storage.records import InstanceRecord
from tests.storage.index.building import record

RECORD = record(
    attributes={"Modality": "CT", "StudyDescription": "CT Head [plain]", "BodyPartExamined": "HEAD"}, origin_name="CT01"
)


def rule(**conditions: object) -> ForwardRule:
    return ForwardRule(name="on", to=("region",), **conditions)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"sites": ("default",)},
        {"peers": ("CT01", "CT02")},
        {"modalities": ("MR", "CT")},
        {"modalities": ("ct",)},
        {"body_parts": ("HEAD",)},
        {"description": "*head*"},
        {"description": "ct head [plain]"},
    ],
)
def test_a_rule_means_what_meets_all_its_conditions(conditions: dict[str, object]) -> None:
    assert means(rule(**conditions), RECORD)


@pytest.mark.parametrize(
    "conditions",
    [
        {"sites": ("other",)},
        {"peers": ("MR01",)},
        {"modalities": ("MR",)},
        {"body_parts": ("CHEST",)},
        {"description": "*chest*"},
        {"description": "ct head [abc]lain]"},
        {"modalities": ("CT",), "body_parts": ("CHEST",)},
    ],
)
def test_one_condition_that_is_not_met_is_enough_to_stay(conditions: dict[str, object]) -> None:
    assert not means(rule(**conditions), RECORD)


def test_the_description_may_be_that_of_the_series() -> None:
    found: InstanceRecord = record(attributes={"StudyDescription": "", "SeriesDescription": "Bone Head"})
    assert means(rule(description="bone*"), found)


def at(hour: int, minute: int = 0, day: int = 5) -> datetime:
    return datetime(2026, 3, day, hour, minute)


def test_hours_may_go_past_midnight() -> None:
    night = hours_of(rule(hours="22:00-06:30"))
    assert night == Hours(time(22), time(6, 30))
    assert night.holds(at(23))
    assert night.holds(at(6, 29))
    assert not night.holds(at(6, 30))
    assert night.next_begin(at(12)) == at(22)
    assert night.next_begin(at(23)) == at(23)


def test_hours_that_are_over_today_begin_tomorrow() -> None:
    noon = hours_of(rule(hours="11:00-13:00"))
    assert noon is not None
    assert noon.next_begin(at(14)) == at(11, day=6)


@pytest.mark.parametrize("hours", ["22-06", "25:00-06:00", "22:00-06:61", "night"])
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(ConfigError, match="like 22:00-06:00 is meant"):
        check([rule(hours=hours)], ["region"])


def test_a_rule_that_cannot_work_is_refused() -> None:
    check([rule()], ["region"])
    with pytest.raises(ConfigError, match="no peer with a port"):
        check([rule()], ["elsewhere"])
    with pytest.raises(ConfigError, match="the same name"):
        check([rule(), rule()], ["region"])
    with pytest.raises(ConfigError, match="priority"):
        check([rule(priority="urgent")], ["region"])
    with pytest.raises(ConfigError, match="sends nowhere"):
        check([ForwardRule(name="on", to=())], ["region"])
