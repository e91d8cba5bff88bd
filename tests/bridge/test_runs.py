"""Runs of elements: quicker, and not to be told from scanning each element."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import describe as describing
from bridge import runs
from bridge.describe import Description, describe
from bridge.header_syntax import EXPLICIT_LITTLE
from bridge.runs import Run, Runs
from tests.bridge.elements import EXPLICIT_LITTLE as EXPLICIT_LITTLE_UID
from tests.bridge.elements import data_set, element

TAGS = [0x00080008, 0x00080060, 0x00080070, 0x00081030, 0x00100010, 0x00100020, 0x00180050, 0x00280010, 0x00291010]
VALUES = st.sampled_from([b"", b"ONE ", b"TWO\\THREE ", b"\xe4\xbd\xa0\xe5\xa5\xbd", b"9" * 80])


def instance(values: Iterable[tuple[int, bytes]], *, ordered: bool = True) -> bytes:
    """A data set with these values as LO, which some of them are; in the order of their tags or as they come."""
    elements = [element(tag, "LO", value) for tag, value in values]
    return data_set(*elements) if ordered else data_set() + b"".join(elements)


def element_by_element(data: bytes) -> Description:
    """Described without runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describing, "_runs", lambda *_: None)
        return describe(data, EXPLICIT_LITTLE_UID)


@given(st.lists(st.lists(st.tuples(st.sampled_from(TAGS), VALUES), max_size=12), max_size=4), st.booleans())
def test_a_run_changes_nothing_that_is_said_of_an_instance(
    series: list[list[tuple[int, bytes]]], ordered: bool
) -> None:
    for values in [*series, *series, *series]:
        data = instance(values, ordered=ordered)
        assert describe(data, EXPLICIT_LITTLE_UID) == element_by_element(data)


def test_what_comes_a_third_time_is_taken_as_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Runs(EXPLICIT_LITTLE)
    monkeypatch.setattr(describing, "_runs", lambda *_: known)
    found: list[int] = []
    really_at = Runs.at

    def at(self: Runs, window: bytes, position: int) -> Run | None:
        run = really_at(self, window, position)
        found.append(len(run.pieces) if run else 0)
        return run

    monkeypatch.setattr(Runs, "at", at)
    values = dict.fromkeys(TAGS[3:], b"SAME")
    data = instance(values.items())
    for _ in range(4):
        found.clear()
        assert describe(data, EXPLICIT_LITTLE_UID) == element_by_element(data)
    assert max(found) >= len(values)


def test_series_that_come_in_turn_keep_their_runs_and_all_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LIMIT", 3)
    known = Runs(EXPLICIT_LITTLE)
    for beginning in range(20):
        for alternative in range(9):
            content = element(0x00100010 + beginning, "LO", b"%04d" % alternative)
            for _ in range(2):
                known.note(content, [b"piece"] * 4, {}, 0x00200000)
            assert known.at(b"before" + content, 6) is not None
    assert len(known._known) <= 3
    assert len(known._seen_once) <= 3
    assert {len(alternatives) for alternatives in known._known.values()} == {4}


def test_a_few_elements_are_no_run() -> None:
    known, content = Runs(EXPLICIT_LITTLE), element(0x00100010, "LO", b"once")
    for _ in range(3):
        known.note(content, [b"piece"] * 3, {}, 0x00100010)
    assert known.at(content, 0) is None


def test_what_is_very_long_is_no_run() -> None:
    known, content = Runs(EXPLICIT_LITTLE), element(0x00091010, "OB", bytes(9000))
    for _ in range(3):
        known.note(content, [b"piece"] * 9, {}, 0x00091010)
    assert known.at(content, 0) is None
