"""What is to be pulled: dates in windows and halves, and what is refused before anybody is asked."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.pulling.selection import Days, Selection, selection

TODAY = date(2026, 11, 25)


def selected(**typed: object) -> Selection:
    """A selection of what was typed."""
    given_: dict[str, object] = {"study": "", "patient": "", "since": "", "until": "", "modalities": ()}
    return selection(**{**given_, **typed}, today=TODAY)  # type: ignore[arg-type]


def test_since_goes_up_to_today() -> None:
    assert selected(since="2026-11-01", modalities=("ct",)) == Selection(
        days=Days(date(2026, 11, 1), TODAY), modalities=("CT",)
    )


def test_dates_may_be_typed_as_dicom_has_them() -> None:
    assert selected(since="20260301", until="20260302").days == Days(date(2026, 3, 1), date(2026, 3, 2))


def test_a_day_in_the_future_is_a_window_of_its_own() -> None:
    assert selected(since="2027-01-01").days == Days(date(2027, 1, 1), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ({}, "say what to pull"),
        ({"study": "1.2.x"}, "not a Study Instance UID"),
        ({"patient": "P*"}, "no wildcards"),
        ({"patient": "P\\Q"}, "no wildcards"),
        ({"patient": "P" * 65}, "64 characters"),
        ({"patient": "P1", "until": "2026-01-01"}, "--until needs --since"),
        ({"since": "yesterday"}, "not a date"),
        ({"since": "2026-02-30"}, "not a date"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "is after"),
        ({"patient": "P1", "modalities": ("C*",)}, "not a modality"),
    ],
)
def test_what_cannot_be_meant_is_refused(typed: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        selected(**typed)


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.integers(0, 400), st.integers(1, 90))
def test_windows_and_halves_hold_every_day_once(first: date, length: int, days: int) -> None:
    whole = Days(first, first + timedelta(days=length))
    windows = list(whole.windows(days))
    halves = [half for window in windows for half in window.halves() or (window,)]
    for pieces in (windows, halves):
        held = [piece.first + timedelta(days=n) for piece in pieces for n in range((piece.last - piece.first).days + 1)]
        assert held == [first + timedelta(days=n) for n in range(length + 1)]
    assert all((window.last - window.first).days < days for window in windows)


def test_a_single_day_has_no_halves_and_is_asked_for_by_its_value() -> None:
    day = Days(TODAY, TODAY)
    assert (day.halves(), day.range) == (None, "20261125")
    assert Days(date(2026, 1, 1), TODAY).range == "20260101-20261125"
