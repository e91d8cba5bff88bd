"""Every row of DICOM.md has a test that names it, or the conformance statement says it is not claimed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LAST = {"G": 20, "Q": 32, "W": 28, "J": 14, "T": 16, "D": 16, "E": 17}
ROWS = [*(f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1)), "1.5", "1.6"]
STATEMENT = REPOSITORY / "docs" / "conformance.md"
_ID = re.compile(r"(?<![a-z0-9])([gqwjtde])([0-9]{1,2})(?:_to_\1([0-9]{1,2}))?(?![a-z0-9])")
_SECTION = re.compile(r"(?<![a-z0-9])1_([56])(?![0-9])")
_NOT_CLAIMED = re.compile(r"^\| ([GQWJTDE][0-9]{1,2}) \| .*?\S \| .*?\S \|$", re.MULTILINE)


def named_in(name: str) -> Iterator[str]:
    """`test_q25_to_q29_x` -> Q25 to Q29, `test_w9_w10_x` -> both, `test_1_5_x` -> 1.5."""
    for letter, first, last in _ID.findall(name.removeprefix("test_")):
        for number in range(int(first), int(last or first) + 1):
            yield f"{letter.upper()}{number}"
    yield from (f"1.{part}" for part in _SECTION.findall(name))


def sentences_in(path: Path) -> Iterator[str]:
    """Names of the test functions of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


TESTED = {
    row
    for path in sorted(Path(__file__).parents[1].glob("*/test_*.py"))
    if path != Path(__file__) and path.parent.name in ("conformance", "scp")
    for name in sentences_in(path)
    for row in named_in(name)
}
NOT_CLAIMED = set(_NOT_CLAIMED.findall(STATEMENT.read_text()))


def test_names_of_tests_are_read_as_rows() -> None:
    assert list(named_in("test_q25_to_q27_10_6_3_required")) == ["Q25", "Q26", "Q27"]
    assert list(named_in("test_w9_w10_8_7_frames_of_t1w_images")) == ["W9", "W10"]
    assert list(named_in("test_1_5_rows_columns_and_region")) == ["1.5"]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_tested_or_not_claimed(row: str) -> None:
    assert row in TESTED | NOT_CLAIMED, f"no test is called test_{row.lower()}_..., and docs/conformance.md is silent"


def test_what_is_not_claimed_is_a_row_without_a_test() -> None:
    assert set(ROWS) >= NOT_CLAIMED
    assert not NOT_CLAIMED & TESTED
