"""Which SOP classes are kept: every one whose instances belong to a study, and by setting those that nobody knows."""

from __future__ import annotations

import pytest
from pynetdicom.sop_class import _NON_PATIENT_OBJECT_CLASSES, _STORAGE_CLASSES

from bridge.sop_classes import is_storable, storage_classes


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("uid", sorted(_STORAGE_CLASSES.values()))
def test_every_storage_class_of_another_implementation_is_kept(uid: str, unknown: bool) -> None:
    assert is_storable(uid, unknown=unknown)
    assert storage_classes()[uid]


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("uid", [*sorted(_NON_PATIENT_OBJECT_CLASSES.values()), "1.2.840.10008.1.1", ""])
def test_classes_without_a_study_are_not_kept(uid: str, unknown: bool) -> None:
    assert not is_storable(uid, unknown=unknown)


@pytest.mark.parametrize("uid", ["1.2.826.0.1.99", "1.2.840.10008.5.1.4.1.1.999", "1.2.840.10008.5.1.4.99.1"])
def test_private_and_newer_classes_go_by_the_setting(uid: str) -> None:
    assert is_storable(uid, unknown=True)
    assert not is_storable(uid, unknown=False)


def test_retired_classes_are_kept() -> None:
    assert is_storable("1.2.840.10008.5.1.4.1.1.6", unknown=False)  # ultrasound: old archives are full of it
