"""Paths of resources below the service root (PS3.18 §10.1.1). Pure."""

from __future__ import annotations

from storage.records import ResourceRef


def path_of(ref: ResourceRef) -> str:
    """The instance's path below the service root."""
    return f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"
