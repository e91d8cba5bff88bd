"""The tables of migration 3: peers that the command line keeps, and jobs that outlive a process."""

from __future__ import annotations

from storage.index.first_tables import KINDS


def statements(kind: str) -> list[str]:
    """The statements for a kind of database."""
    return [statement.strip() for statement in TABLES.format(**KINDS[kind]).split(";") if statement.strip()]


TABLES = """
CREATE TABLE peer (
    name {text} NOT NULL,
    definition {text} NOT NULL,
    changed_at {whole} NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE job (
    id {serial},
    kind {text} NOT NULL,
    key {text} NOT NULL,
    target {text} NOT NULL,
    payload {text} NOT NULL,
    state {text} NOT NULL,
    attempts {whole} NOT NULL,
    problem {text} NOT NULL,
    created_at {whole} NOT NULL,
    due_at {whole} NOT NULL,
    CONSTRAINT job_by_key UNIQUE (kind, key)
);
CREATE INDEX job_by_due ON job (kind, due_at) WHERE state = 'waiting'
"""
