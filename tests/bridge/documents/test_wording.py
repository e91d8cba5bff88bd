"""How names, dates and times read."""

from __future__ import annotations

import pytest

from bridge.documents import wording


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Zhang^San=张^三", "Zhang, San (张 三)"),
        ("Adams^John Robert Quincy^^Rev.^B.A. M.Div.", "Adams, Rev. John Robert Quincy, B.A. M.Div."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎, やまだ たろう)"),
        ("=张^三", "(张 三)"),
        ("Morrison-Jones^Susan", "Morrison-Jones, Susan"),
        ("^^^^", ""),
        ("", ""),
    ],
)
def test_names_read_family_first(stored: str, shown: str) -> None:
    assert wording.name(stored) == shown


@pytest.mark.parametrize(
    ("read", "stored", "shown"),
    [
        (wording.date, "20260305", "2026-03-05"),
        (wording.date, "2026.03.05", "2026-03-05"),
        (wording.date, "soon", "soon"),
        (wording.time, "101500.25", "10:15:00.25"),
        (wording.time, "10", "10"),
        (wording.time, "noon", "noon"),
        (wording.moment, "20260305101500.5+0800", "2026-03-05 10:15:00.5 +0800"),
        (wording.moment, "202603", "2026-03"),
        (wording.moment, "later", "later"),
    ],
)
def test_dates_and_times_read_as_iso_8601_and_garbage_as_it_is(read: object, stored: str, shown: str) -> None:
    assert callable(read)
    assert read(stored) == shown


def test_text_is_safe_in_markup() -> None:
    assert wording.escaped("<b a=\"'&\0\x1b\ufffe\r\n") == "&lt;b a=&quot;&#x27;&amp;\ufffd\ufffd\ufffd\n"
