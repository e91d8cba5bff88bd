"""Forwarding orders to peers, by C-STORE (bridge/forwarding). The sender's process runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bridge.archive import Archive
from bridge.errors import NotAcceptable
from bridge.forwarding.delivery import Courier, Line, NotWanted, Unreachable
from bridge.forwarding.pace import Pace
from bridge.forwarding.routing import destinations
from bridge.forwarding.running import Forwarder
from bridge.peers import Roster
from bridge.retrieve import Retrieve
from bridge.settings import ForwardRule
from scp.command import Status
from scp.connection import Broken
from scp.reach import NoAssociation
from scp.scu import remote_of
from scp.status import SUCCESS, is_warning
from scp.store_line import StoreLine
from scp.upper_layer import ProtocolError
from storage.records import InstanceRecord

_OUT_OF_RESOURCES = 0xA7  # the high byte: refused now, later perhaps not (PS3.4 §B.2.3)


def forwarder(archive: Archive, roster: Callable[[], Roster], retrieve: Retrieve) -> Forwarder:
    """What sends to every destination of the rules that is no web destination; `roster` knows the peers of now."""
    web = {destination.name for destination in archive.settings.web_destinations}
    names = [name for name in destinations(archive.settings.forward_rules) if name not in web]
    return Forwarder(archive, names, lambda name: courier(archive, roster, retrieve, name))


def courier(archive: Archive, roster: Callable[[], Roster], retrieve: Retrieve, name: str) -> Courier:
    """A Courier to the peer of that name."""

    @contextlib.contextmanager
    def opened(rule: ForwardRule) -> Iterator[Line]:
        peer = roster().named(name)
        remote = remote_of(peer) if peer else None
        if remote is None:
            raise Unreachable(f"there is no peer {name!r} with a host and port")
        pace = Pace(rule.bytes_per_second)
        line = StoreLine(remote, retrieve, archive.settings, transfer_syntax_uid=rule.transfer_syntax, pace=pace)
        try:
            yield _PeerLine(line)
        finally:
            line.close()

    return opened


class _PeerLine:
    """A Line to a peer; its association opens with the first instance."""

    def __init__(self, line: StoreLine) -> None:
        self._line = line

    def send(self, record: InstanceRecord) -> None:
        """See Line."""
        try:
            status = self._line.send(record)
        except (NoAssociation, Broken, ProtocolError) as error:
            raise Unreachable(str(error)) from error
        except NotAcceptable as error:
            raise NotWanted(str(error)) from error
        if status.code != SUCCESS and not is_warning(status.code):
            raise _refusal(status)


def _refusal(status: Status) -> Unreachable | NotWanted:
    said = f"status {status.code:04X}" + (f": {status.comment}" if status.comment else "")
    return Unreachable(said) if status.code >> 8 == _OUT_OF_RESOURCES else NotWanted(said)
