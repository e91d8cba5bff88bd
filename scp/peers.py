"""Who may call, from where, for which services (D1, D13). The only part of this door that turns callers away."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.addresses import is_loopback
from bridge.peers import Network, Roster, network, roster
from bridge.settings import Peer, Settings
from scp.negotiation import APPLICATION_CONTEXT, PROTOCOL_VERSION, Request

EVERY_SERVICE = ("echo", "store", "commitment", "find", "move", "get")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int


NO_REASON_GIVEN = Rejection(1, 1, 1)
CONTEXT_NAME_NOT_SUPPORTED = Rejection(1, 1, 2)
CALLING_AE_NOT_RECOGNISED = Rejection(1, 1, 3)
CALLED_AE_NOT_RECOGNISED = Rejection(1, 1, 7)
PROTOCOL_NOT_SUPPORTED = Rejection(1, 2, 2)
LIMIT_EXCEEDED = Rejection(2, 3, 2)  # transient: try again later


class Refused(Exception):
    """The association is refused; `str(error)` tells an administrator why."""

    def __init__(self, rejection: Rejection, message: str) -> None:
        super().__init__(message)
        self.rejection = rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An admitted requestor."""

    ae_title: str
    called_ae_title: str  # how it calls us
    address: str
    site: str
    services: tuple[str, ...]
    associations: int  # how many this caller may have open at once
    peer: Peer | None  # None: let in without being listed

    @property
    def key(self) -> str:
        """What associations are counted under."""
        return f"peer {self.peer.name}" if self.peer else f"{self.ae_title} {self.address}"


class Peers:
    """Who is known at the moment: `current` is asked anew for every caller; without it, the settings' peers."""

    def __init__(self, settings: Settings, current: Callable[[], Roster] | None = None) -> None:
        self._settings = settings
        own = roster(settings, ())
        self._current = current or (lambda: own)

    def destination(self, ae_title: str, site: str) -> Peer | None:
        """The peer that a caller of this site may have instances sent to; None when nobody of that title listens."""
        peer = self._current().titled(ae_title)
        if peer is None or not peer.port or (peer.site or site) != site:
            return None
        return peer

    def admit(self, request: Request, address: str, names: frozenset[str] | None = None) -> Caller:
        """The caller behind a request, or Refused. `names`: in its certificate; None where it does not speak TLS."""
        if not request.protocol_version & PROTOCOL_VERSION:
            raise Refused(PROTOCOL_NOT_SUPPORTED, f"protocol version {request.protocol_version} is not supported")
        if request.application_context != APPLICATION_CONTEXT:
            raise Refused(CONTEXT_NAME_NOT_SUPPORTED, "the application context is not DICOM's")
        dimse = self._settings.dimse
        known = self._current()
        sites = {title.ae_title.strip(): title.site for title in known.ae_titles}
        if dimse.check_called_ae_title and request.called_ae_title not in (dimse.ae_title, *sites):
            ours = " or ".join((dimse.ae_title, *sites))
            raise Refused(CALLED_AE_NOT_RECOGNISED, f"the called AE title is not {ours}")
        if not request.calling_ae_title:
            raise Refused(CALLING_AE_NOT_RECOGNISED, "the calling AE title is empty")
        return self._caller(request, address, names, known, sites.get(request.called_ae_title, ""))

    def _caller(
        self, request: Request, address: str, names: frozenset[str] | None, roster: Roster, called_site: str
    ) -> Caller:
        ae_title = request.calling_ae_title
        dimse = self._settings.dimse
        known = [peer for peer in roster.peers if peer.ae_title.strip() == ae_title]
        for peer in known:
            if _may_come_from(peer, address):
                _check_certificate(peer, names)
                if peer.site and called_site and peer.site != called_site:
                    raise Refused(CALLED_AE_NOT_RECOGNISED, f"the peer {peer.name} is not of the site {called_site}")
                return Caller(
                    ae_title=ae_title,
                    called_ae_title=request.called_ae_title,
                    address=address,
                    site=peer.site or called_site or self._settings.site,
                    services=peer.services,
                    associations=peer.associations or dimse.associations_per_peer,
                    peer=peer,
                )
        if dimse.allow_any_peer or (not roster.peers and is_loopback(address)):
            return Caller(
                ae_title=ae_title,
                called_ae_title=request.called_ae_title,
                address=address,
                site=called_site or self._settings.site,
                services=EVERY_SERVICE,
                associations=dimse.associations_per_peer,
                peer=None,
            )
        raise Refused(CALLING_AE_NOT_RECOGNISED, _why(known, address))


def _check_certificate(peer: Peer, names: frozenset[str] | None) -> None:
    if names is None and (peer.tls or peer.certificate):
        raise Refused(NO_REASON_GIVEN, f"the peer {peer.name} may call only over TLS")
    if peer.certificate and peer.certificate not in (names or ()):
        shown = ", ".join(sorted(names or ())) or "no name at all"
        raise Refused(
            NO_REASON_GIVEN, f"the peer {peer.name} must show a certificate for {peer.certificate}, not for {shown}"
        )


def _may_come_from(peer: Peer, address: str) -> bool:
    return not peer.addresses or _is_within(address, [network(text) for text in peer.addresses])


def _why(known: Sequence[Peer], address: str) -> str:
    if not known:
        return "no peer has this calling AE title"
    names = ", ".join(peer.name for peer in known)
    return f"the peer {names} may not call from {address}"


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
