"""Every resource of the HTTP door is in the documents, by its path."""

from __future__ import annotations

import re

import pytest

from dicomweb.app import OPERATIONS, ROUTES
from tests.conftest import REPOSITORY

PAGES = "".join(page.read_text() for page in (REPOSITORY / "docs").glob("*.md"))
PATHS = {path for path, *_ in (*ROUTES, *OPERATIONS)}


def shape(path: str) -> str:
    """`/studies/{study}/series` -> `/studies/{}/series`: whatever the parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path)


WRITTEN = {shape(path) for quoted in re.findall(r"`([^`\n]+)`", PAGES) for path in re.findall(r"/\S*", quoted)}


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_route_is_written_in_the_documents(path: str) -> None:
    assert shape(path) in WRITTEN
