"""An empty index on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.index import SqlIndex, migrate, open_index, states
from tests.servers.postgres import fresh_database as make_database
from tests.storage.index.building import Clock, empty_postgres

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.server)]


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The url of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'index.sqlite'}"
    return make_database(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def postgres_index(postgres_url: str) -> str:
    """One migrated database for all tests; `url` empties it."""
    made = make_database(postgres_url)
    migrate(made)
    return made


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The url of a migrated database without a row."""
    if request.param == "sqlite":
        made = f"sqlite://{tmp_path / 'index.sqlite'}"
        migrate(made)
        return made
    made = request.getfixturevalue("postgres_index")
    empty_postgres(made)
    return made


@pytest.fixture
def clock() -> Clock:
    """The time as the index sees it."""
    return Clock()


@pytest.fixture
def index(url: str, clock: Clock) -> Iterator[SqlIndex]:
    """An empty index."""
    opened = open_index(url, now=clock)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _grams_of_few_studies_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that in nearly every test some studies have their grams and some wait for them."""
    monkeypatch.setattr(states, "GRAMS_TOGETHER", 3)
