"""Who may call (PS3.8 §9.3.4; DICOM.md D1, D13)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import ConfigError
from bridge.settings import CalledTitle, Peer
from scp import negotiation
from scp.peers import (
    CALLED_AE_NOT_RECOGNISED,
    CALLING_AE_NOT_RECOGNISED,
    CONTEXT_NAME_NOT_SUPPORTED,
    EVERY_SERVICE,
    PROTOCOL_NOT_SUPPORTED,
    Caller,
    Peers,
    Refused,
    Rejection,
)
from tests.scp.running import settings
from tests.scp.wire import ECHO_CONTEXT, associate

CT01 = Peer(name="ct-1", ae_title="CT01", addresses=("10.0.0.7", "10.1.0.0/16", "2001:db8::/32"), site="north")


def admit(
    *peers: Peer, address: str = "127.0.0.1", calling: str = "CT01", called: str = "BRIDGE", **dimse: object
) -> Caller:
    """Let this caller try."""
    request = negotiation.decode(associate(ECHO_CONTEXT, calling=calling, called=called))
    return Peers(settings(peers=peers, **dimse)).admit(request, address)


def refusal(*peers: Peer, **options: object) -> tuple[Rejection, str]:
    """How this caller is refused."""
    with pytest.raises(Refused) as caught:
        admit(*peers, **options)  # type: ignore[arg-type]  # handed on as they are
    return caught.value.rejection, str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_peers_everybody_on_this_machine_may_call(address: str) -> None:
    caller = admit(address=address)
    assert (caller.peer, caller.site, caller.services) == (None, "default", EVERY_SERVICE)


def test_without_peers_nobody_else_may_call() -> None:
    assert refusal(address="10.0.0.7")[0] == CALLING_AE_NOT_RECOGNISED


def test_anybody_may_call_by_switch() -> None:
    assert admit(address="10.0.0.7", allow_any_peer=True).peer is None


@pytest.mark.parametrize("address", ["10.0.0.7", "10.1.255.1", "::ffff:10.0.0.7", "2001:db8::5", "2001:db8::5%eth0"])
def test_a_peer_may_call_from_its_addresses(address: str) -> None:
    caller = admit(CT01, address=address)
    assert (caller.peer, caller.site) == (CT01, "north")


@pytest.mark.parametrize("address", ["10.0.0.8", "127.0.0.1", "2001:db9::5", "not an address"])
def test_a_peer_may_not_call_from_elsewhere(address: str) -> None:
    rejection, why = refusal(CT01, address=address)
    assert rejection == CALLING_AE_NOT_RECOGNISED
    assert why == f"the peer ct-1 may not call from {address}"


def test_a_peer_without_addresses_may_call_from_anywhere() -> None:
    assert admit(Peer(name="any", ae_title="CT01"), address="203.0.113.9").peer


def test_once_there_are_peers_this_machine_must_be_listed_too() -> None:
    assert refusal(CT01, calling="OTHER")[1] == "no peer has this calling AE title"


def test_titles_are_compared_trimmed_and_with_case() -> None:
    assert admit(CT01, calling=" CT01 ", address="10.0.0.7").ae_title == "CT01"
    assert refusal(CT01, calling="ct01", address="10.0.0.7")[0] == CALLING_AE_NOT_RECOGNISED


def test_two_machines_may_share_a_title() -> None:
    second = Peer(name="ct-2", ae_title="CT01", addresses=("10.9.9.9",))
    assert admit(CT01, second, address="10.9.9.9").peer == second


def test_an_empty_title_is_refused() -> None:
    assert refusal(calling="")[0] == CALLING_AE_NOT_RECOGNISED


def test_the_called_title_matters_only_by_switch() -> None:
    assert admit(called="ELSEWHERE")
    assert refusal(called="ELSEWHERE", check_called_ae_title=True)[0] == CALLED_AE_NOT_RECOGNISED
    assert admit(called="BRIDGE", check_called_ae_title=True)


def test_another_protocol_or_application_context_is_refused() -> None:
    peers = Peers(settings())
    for changed, rejection in (
        (associate(ECHO_CONTEXT, version=2), PROTOCOL_NOT_SUPPORTED),
        (associate(ECHO_CONTEXT, application_context="1.2.3"), CONTEXT_NAME_NOT_SUPPORTED),
    ):
        with pytest.raises(Refused) as caught:
            peers.admit(negotiation.decode(changed), "127.0.0.1")
        assert caught.value.rejection == rejection
    assert peers.admit(negotiation.decode(associate(ECHO_CONTEXT, version=3)), "127.0.0.1")


def test_limits_are_the_peers_own_or_the_doors() -> None:
    assert admit(associations_per_peer=3).associations == 3
    assert admit(Peer(name="a", ae_title="CT01", associations=7), associations_per_peer=3).associations == 7


def test_a_host_name_is_no_address() -> None:
    with pytest.raises(ConfigError, match=r"'ct-1' has the address 'ct.hospital'"):
        Peers(settings(peers=(Peer(name="ct-1", ae_title="CT01", addresses=("ct.hospital",)),)))


def admit_by_title(called: str, *peers: Peer, **dimse: object) -> Caller:
    """Let CT01 call one of our titles; NORTH and SOUTH stand for sites."""
    titles = (CalledTitle(ae_title="NORTH", site="north"), CalledTitle(ae_title="SOUTH", site="south"))
    known = replace(settings(peers=peers, **dimse), ae_titles=titles)
    return Peers(known).admit(negotiation.decode(associate(ECHO_CONTEXT, calling="CT01", called=called)), "127.0.0.1")


@pytest.mark.parametrize(("called", "site"), [("NORTH", "north"), ("SOUTH", "south"), ("BRIDGE", "default")])
def test_the_called_title_chooses_the_site(called: str, site: str) -> None:
    assert admit_by_title(called).site == site
    assert admit_by_title(called, Peer(name="ct-1", ae_title="CT01")).site == site


def test_a_peer_of_a_site_cannot_reach_another_by_its_title() -> None:
    own = Peer(name="ct-1", ae_title="CT01", site="north")
    assert admit_by_title("NORTH", own).site == "north"
    assert admit_by_title("BRIDGE", own).site == "north"
    with pytest.raises(Refused, match="not of the site south") as caught:
        admit_by_title("SOUTH", own)
    assert caught.value.rejection == CALLED_AE_NOT_RECOGNISED


def test_every_title_of_ours_is_answered_when_titles_are_checked() -> None:
    assert admit_by_title("SOUTH", check_called_ae_title=True).site == "south"
    with pytest.raises(Refused, match="the called AE title is not BRIDGE or NORTH or SOUTH"):
        admit_by_title("EAST", check_called_ae_title=True)
