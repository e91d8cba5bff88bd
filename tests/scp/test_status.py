"""Every refusal of the archive has a DIMSE status (PS3.7 Annex C)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.access import Unauthenticated
from bridge.errors import BridgeError, InvalidInstance, OutOfResources
from scp.status import STATUSES, status_of


def subclasses(cls: type[BridgeError]) -> Iterator[type[BridgeError]]:
    """All below `cls` that `bridge.errors` defines."""
    for child in cls.__subclasses__():
        if child.__module__ == "bridge.errors":
            yield child
        yield from subclasses(child)


@pytest.mark.parametrize("cls", [BridgeError, *subclasses(BridgeError)])
def test_every_error_has_a_row_of_its_own(cls: type[BridgeError]) -> None:
    assert cls in STATUSES


@pytest.mark.parametrize("code", sorted(set(STATUSES.values())))
def test_no_refusal_looks_like_success_or_a_warning(code: int) -> None:
    assert code >> 12 in (0xA, 0xC) or code in (0x0110, 0x0111, 0x0112, 0x0122, 0x0124)


def test_an_error_defined_elsewhere_gets_the_status_of_its_base() -> None:
    assert status_of(Unauthenticated("who are you")).code == 0x0124


def test_the_comment_is_the_sentence_cut_to_64_characters() -> None:
    assert status_of(OutOfResources("x" * 100)).comment == "x" * 64


def test_the_offending_element_is_handed_on() -> None:
    assert status_of(InvalidInstance("no UID", offending_tag=0x0020000D)).offending_tag == 0x0020000D
