"""Which presentation contexts are accepted (PS3.8 §9.3.3.2)."""

from __future__ import annotations

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom.sop_class import _STORAGE_CLASSES

from bridge.syntaxes import STORABLE
from scp import negotiation
from scp.contexts import STORAGE_CLASSES, Agreement, Result, agree, choose, service_of
from tests.scp.wire import CT, EXPLICIT, IMPLICIT, MAXIMUM_LENGTH, VERIFICATION, Context, associate, item

BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000 = (f"1.2.840.10008.1.2.4.{number}" for number in (50, 70, 80, 91))
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"


def agreed(*contexts: Context, services: tuple[str, ...] = ("echo", "store"), unknown: bool = True) -> Agreement:
    """What comes of these proposals."""
    return agree(negotiation.decode(associate(*contexts)), services=services, unknown_sop_classes=unknown)


def result(context: Context, **options: object) -> Result:
    """The result of one proposal."""
    return Result(agreed(context, **options).decisions[0].result)  # type: ignore[arg-type]  # handed on as they are


@pytest.mark.parametrize("uid", sorted(STORAGE_CLASSES))
def test_every_storage_class_is_accepted(uid: str) -> None:
    assert result((1, uid, (IMPLICIT,)), unknown=False) is Result.ACCEPTANCE


def test_no_storage_class_of_the_standard_is_missing() -> None:
    assert set(_STORAGE_CLASSES.values()) <= set(STORAGE_CLASSES)
    assert "1.2.840.10008.5.1.4.1.1.6" in STORAGE_CLASSES  # ultrasound, retired: old archives are full of it


@pytest.mark.parametrize("uid", sorted(STORABLE))
def test_every_syntax_that_can_be_kept_is_accepted(uid: str) -> None:
    assert agreed((1, CT, (uid,))).contexts[1].transfer_syntax == uid


@pytest.mark.parametrize("number", [94, 95, 204, 205])
def test_pixels_that_live_elsewhere_are_refused(number: int) -> None:
    assert result((1, CT, (f"1.2.840.10008.1.2.4.{number}",))) is Result.TRANSFER_SYNTAXES_NOT_SUPPORTED


def test_every_transfer_syntax_of_the_dictionary_is_decided() -> None:
    refused = {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"} - set(STORABLE)
    assert all("JPIP" in UID_dictionary[uid][0] or not uid.startswith("1.2.840.10008.1.2.4") for uid in refused)


@pytest.mark.parametrize(
    ("proposed", "best"),
    [
        ((IMPLICIT, EXPLICIT), EXPLICIT),
        ((BIG, IMPLICIT), IMPLICIT),
        ((BIG,), BIG),
        ((BIG, JPEG), JPEG),
        ((DEFLATED, EXPLICIT), EXPLICIT),
        ((JPEG, EXPLICIT), EXPLICIT),
        ((JPEG, JPEG_LOSSLESS, IMPLICIT), JPEG_LOSSLESS),
        ((EXPLICIT, JPEG_LS), JPEG_LS),
        ((JPEG_LS, JPEG_LOSSLESS), JPEG_LS),
        ((JPEG_LOSSLESS, JPEG_LS), JPEG_LOSSLESS),
        ((JPEG_2000, JPEG), JPEG_2000),
        (("1.2.840.113619.5.2", IMPLICIT), IMPLICIT),
        (("1.2.840.113619.5.2",), "1.2.840.113619.5.2"),
        (("1.2.3.4", "1.2.840.10008.1.2.4.94"), ""),
        ((), ""),
    ],
)
def test_d5_the_choice_loses_nothing_and_prefers_what_is_read_most_easily(proposed: tuple[str, ...], best: str) -> None:
    assert choose(proposed) == best


def test_d7_private_classes_are_accepted_by_switch() -> None:
    assert result((1, PRIVATE_CLASS, (IMPLICIT,))) is Result.ACCEPTANCE
    assert result((1, PRIVATE_CLASS, (IMPLICIT,)), unknown=False) is Result.ABSTRACT_SYNTAX_NOT_SUPPORTED


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.31",  # Modality Worklist
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model, retired
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol Storage: no study
        "1.2.840.10008.1.3.10",  # Media Storage Directory
        "1.2.840.10008.1.9",  # Basic Study Content Notification, retired
        "",
    ],
)
def test_what_is_known_not_to_be_an_instance_is_refused(uid: str) -> None:
    assert service_of(uid, unknown_sop_classes=True) is None


def test_a_peer_without_the_service_is_refused_by_the_user() -> None:
    assert result((1, CT, (EXPLICIT,)), services=("echo",)) is Result.USER_REJECTION


MR = "1.2.840.10008.5.1.4.1.1.4"


def limited(*contexts: Context, **limits: tuple[str, ...]) -> dict[int, tuple[Result, str]]:
    """Result and transfer syntax of each proposal, for a peer with limits."""
    request = negotiation.decode(associate(*contexts))
    found = agree(request, services=("echo", "store"), unknown_sop_classes=True, **limits)
    return {one.context_id: (Result(one.result), one.transfer_syntax) for one in found.decisions}


def test_a_peer_stores_only_the_classes_that_it_may() -> None:
    contexts = ((1, CT, (EXPLICIT,)), (3, MR, (EXPLICIT,)), (5, VERIFICATION, (IMPLICIT,)))
    assert limited(*contexts, sop_classes=(MR,)) == {
        1: (Result.USER_REJECTION, ""),
        3: (Result.ACCEPTANCE, EXPLICIT),
        5: (Result.ACCEPTANCE, IMPLICIT),
    }


def test_a_peer_stores_only_in_the_syntaxes_that_it_may() -> None:
    contexts = ((1, CT, (JPEG_LOSSLESS, EXPLICIT)), (3, CT, (JPEG_LOSSLESS,)), (5, VERIFICATION, (IMPLICIT,)))
    assert limited(*contexts, transfer_syntaxes=(EXPLICIT,)) == {
        1: (Result.ACCEPTANCE, EXPLICIT),
        3: (Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, ""),
        5: (Result.ACCEPTANCE, IMPLICIT),
    }


def test_even_ids_are_refused() -> None:
    assert result((2, CT, (EXPLICIT,))) is Result.NO_REASON


def test_one_class_in_many_contexts_is_accepted_in_each_with_its_own_syntax() -> None:
    contexts = agreed(*((2 * n + 1, CT, (uid,)) for n, uid in enumerate(sorted(STORABLE)))).contexts
    assert [context.transfer_syntax for context in contexts.values()] == sorted(STORABLE)


def test_identifiers_travel_explicit_or_implicit_and_never_compressed() -> None:
    find = "1.2.840.10008.5.1.4.1.2.2.1"
    assert agreed((1, find, (JPEG, IMPLICIT, EXPLICIT)), services=("find",)).contexts[1].transfer_syntax == EXPLICIT
    assert result((1, find, (JPEG,)), services=("find",)) is Result.TRANSFER_SYNTAXES_NOT_SUPPORTED


def role(uid: str, scu: int, scp: int) -> bytes:
    """A role selection sub-item."""
    return item(0x54, len(uid).to_bytes(2, "big") + uid.encode() + bytes((scu, scp)))


def test_a_requestor_that_would_only_be_provider_is_refused_and_roles_are_answered() -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    pdu = associate(
        (1, CT, (EXPLICIT,)),
        (3, mr, (EXPLICIT,)),
        (5, VERIFICATION, (IMPLICIT,)),
        user_items=MAXIMUM_LENGTH + role(CT, 1, 1) + role(mr, 0, 1),
    )
    agreement = agree(negotiation.decode(pdu), services=("echo", "store"), unknown_sop_classes=True)
    assert [decision.result for decision in agreement.decisions] == [0, Result.USER_REJECTION, 0]
    assert agreement.roles == {CT: (True, False)}


GET, FIND = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.1"


def getting(*services: str, roles: bytes, proposed: tuple[str, ...] = (JPEG_2000, EXPLICIT)) -> Agreement:
    """What comes of a C-GET requestor's proposal."""
    pdu = associate((1, GET, (IMPLICIT,)), (3, CT, proposed), user_items=MAXIMUM_LENGTH + roles)
    return agree(negotiation.decode(pdu), services=services, unknown_sop_classes=True)


def test_d9_a_requestor_that_gets_is_provider_of_storage_where_it_proposed_that() -> None:
    agreement = getting("get", "store", roles=role(CT, 1, 1))
    assert agreement.roles == {CT: (True, True)}
    assert agreement.contexts[3].takes_stores
    assert agreement.contexts[3].service == "store"


def test_d9_the_role_of_provider_alone_does_not_let_it_store() -> None:
    context = getting("get", "store", roles=role(CT, 0, 1)).contexts[3]
    assert (context.takes_stores, context.service) == (True, "")


def test_d9_provider_is_never_granted_unasked() -> None:
    assert not getting("get", "store", roles=b"").contexts[3].takes_stores


def test_d9_a_peer_that_may_not_get_is_no_provider() -> None:
    assert 3 not in getting("store", roles=role(CT, 0, 1)).contexts


def test_what_is_sent_goes_uncompressed_where_one_context_leaves_the_choice() -> None:
    assert getting("get", roles=role(CT, 0, 1)).contexts[3].transfer_syntax == EXPLICIT
    assert getting("get", roles=role(CT, 0, 1), proposed=(JPEG_2000,)).contexts[3].transfer_syntax == JPEG_2000


def extended(uid: str, information: bytes) -> bytes:
    """An extended negotiation sub-item."""
    return item(0x56, len(uid).to_bytes(2, "big") + uid.encode() + information)


@pytest.mark.parametrize(
    ("proposed", "answer"),
    [
        (b"\1\1\1\1\1\1\1", b"\1\1\1\1\0\1\1"),
        (b"\1\0\0", b"\1\0\0"),
        (b"\2\1", b"\0\1"),
        (b"\1" * 20, b"\1\1\1\1\0\1\1"),
        (b"", b""),
    ],
)
def test_d12_only_what_is_done_is_agreed_to(proposed: bytes, answer: bytes) -> None:
    pdu = associate((1, FIND, (IMPLICIT,)), user_items=MAXIMUM_LENGTH + extended(FIND, proposed))
    agreement = agree(negotiation.decode(pdu), services=("find",), unknown_sop_classes=True)
    assert agreement.extended == {FIND: answer}
    assert agreement.contexts[1].options.relational == (answer[:1] == b"\1")
    assert agreement.contexts[1].options.empty_value == (answer[5:6] == b"\1")


@pytest.mark.parametrize(("proposed", "answer"), [(b"\2\0\3\0\1\0", b"\2\0\3\0\0\0"), (b"\3", b"\2"), (b"", b"")])
def test_d12_storage_is_level_2_bit_preserving_without_coercion(proposed: bytes, answer: bytes) -> None:
    pdu = associate((1, CT, (IMPLICIT,)), user_items=MAXIMUM_LENGTH + extended(CT, proposed))
    assert agree(negotiation.decode(pdu), services=("store",), unknown_sop_classes=True).extended == {CT: answer}


def test_without_extended_negotiation_nothing_is_agreed_to() -> None:
    agreement = agreed((1, FIND, (IMPLICIT,)), services=("find",))
    assert agreement.extended == {}
    assert not agreement.contexts[1].options.relational
