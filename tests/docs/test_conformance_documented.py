"""The conformance statement says what the code does: its tables are those of the code."""

from __future__ import annotations

import pytest

from tests.docs.tables import BLOCK, PAGE, TABLES, filled


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_of_the_statement_is_that_of_the_code(name: str) -> None:
    written = {match[2]: match[0] for match in BLOCK.finditer(PAGE.read_text())}
    assert name in written, f"docs/conformance.md needs `<!-- table: {name} -->`"
    assert written[name] == filled(written[name]), "python -m tests.docs.tables writes it anew"
