"""The known application entities: those of the configuration file, and those that the command line keeps in the index.

Both are looked at again while the doors are open, so a change needs no restart. A broken one changes nothing: it is one
line in the log, and the peers stay as they were. Where both know a name, the file's entry counts.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from bridge.archive import Archive
from bridge.config import load, peer_from
from bridge.errors import ConfigError
from bridge.passcodes import is_entry
from bridge.settings import CalledTitle, Peer, Settings
from storage.errors import StorageError
from storage.index.registry import PeerDefinition
from storage.keys import SITE, is_uid

_LOG = logging.getLogger(__name__)
SERVICES = ("echo", "store", "commitment", "find", "get", "move")
REPORTS = ("new", "same")
AE_TITLE_CHARACTERS = 16  # PS3.5 Table 6.2-1, AE
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody we know at one time, and the AE titles that we answer to."""

    peers: tuple[Peer, ...] = ()
    ae_titles: tuple[CalledTitle, ...] = ()

    def named(self, name: str) -> Peer | None:
        """The peer of that name."""
        return next((peer for peer in self.peers if peer.name == name), None)

    def titled(self, ae_title: str) -> Peer | None:
        """The first peer with that AE title."""
        return next((peer for peer in self.peers if peer.ae_title.strip() == ae_title.strip()), None)


class Watch:
    """One process's view of the peers. `look` is called now and then, by one thread; `roster` by all."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._settings = archive.settings
        self._signature = _signature(archive.settings)
        self._complaint = ""
        self.roster = roster(self._settings, ())
        self.look()

    def look(self) -> None:
        """Take over what has changed. Raises nothing: what cannot be read or is wrong changes nothing."""
        try:
            self._read_file()
            fresh = roster(self._settings, self._archive.registry.kept_peers())
        except (ConfigError, StorageError) as error:
            if str(error) != self._complaint:
                _LOG.error("the peers stay as they were: %s", error)
            self._complaint = str(error)
            return
        self._complaint = ""
        if fresh != self.roster:
            _LOG.info("the peers have changed: %s", _difference(self.roster, fresh))
            self.roster = fresh

    def _read_file(self) -> None:
        path, signature = self._settings.file, _signature(self._settings)
        if path is None or signature is None or signature == self._signature:
            return
        fresh = load(path)
        roster(fresh, ())
        if replace(fresh, peers=(), ae_titles=()) != replace(self._settings, peers=(), ae_titles=()):
            _LOG.warning("%s has changed; all but peers and AE titles takes effect at the next start", path)
        self._settings = replace(self._settings, peers=fresh.peers, ae_titles=fresh.ae_titles)
        self._signature = signature


def known(archive: Archive) -> Roster:
    """Everybody we know now. Raises ConfigError for a wrong entry of the file, StorageError."""
    return roster(archive.settings, archive.registry.kept_peers())


def roster(settings: Settings, kept: Iterable[PeerDefinition]) -> Roster:
    """The peers of the file and those of the index. Raises ConfigError for a wrong one of the file.

    One of the index that a newer program has written may mean nothing here: it is left out, with a line in the log.
    """
    names = [peer.name for peer in settings.peers]
    if len(set(names)) < len(names):
        raise ConfigError(f"two [[peers]] have the name {next(name for name in names if names.count(name) > 1)!r}")
    for peer in settings.peers:
        check(peer)
    for title in settings.ae_titles:
        _check_title(title.ae_title, "[[ae_titles]]")
        _check_site(title.site, "[[ae_titles]]")
    found = list(settings.peers)
    for definition in kept:
        if definition.name not in names:
            try:
                found.append(parse(definition))
            except ConfigError as error:
                _LOG.error("a peer is left out: %s", error)
    return Roster(tuple(found), settings.ae_titles)


def parse(definition: PeerDefinition) -> Peer:
    """A peer that the index keeps. Raises ConfigError."""
    return made(definition.name, orjson.loads(definition.definition))


def made(name: str, values: dict[str, object]) -> Peer:
    """A checked peer from its settings. Raises ConfigError."""
    peer = peer_from({**values, "name": name}, f"peer {name}")
    check(peer)
    return peer


def check(peer: Peer) -> None:
    """Raise ConfigError with the way out when a peer cannot be what it says."""
    where = f"the peer {peer.name!r}"
    _check_title(peer.ae_title, where)
    if peer.site:
        _check_site(peer.site, where)
    for text in peer.addresses:
        try:
            network(text)
        except ValueError as error:
            raise ConfigError(f"{where} has the address {text!r}; it must be an IP address or network") from error
    for service in peer.services:
        if service not in SERVICES:
            raise ConfigError(f"{where} has the service {service!r}; there are {', '.join(SERVICES)}")
    for uid in (*peer.sop_classes, *peer.transfer_syntaxes):
        if not is_uid(uid):
            raise ConfigError(f"{where} has {uid!r} where UIDs belong")
    for user in peer.users:
        if not is_entry(user):
            raise ConfigError(f"{where} has a user that `dicom-bridge peers user` has not made")
    if peer.commitment_report not in REPORTS:
        raise ConfigError(f"{where} has commitment_report {peer.commitment_report!r}; it is {' or '.join(REPORTS)}")
    if peer.timezone:
        zone(peer.timezone, where)


def network(text: str) -> Network:
    """An address or network. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def zone(name: str, where: str) -> ZoneInfo:
    """A time zone of the IANA database. Raises ConfigError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"{where} has the time zone {name!r}; one like Asia/Shanghai is meant") from error


def keep(archive: Archive, name: str, values: dict[str, object], *, at: datetime) -> Peer:
    """Keep a peer in the index, for all boxes. Raises ConfigError for a wrong one, or one that the file has."""
    if not SITE.fullmatch(name):
        raise ConfigError("a peer's name is lower-case letters, digits, - and _, 63 at most")
    if any(peer.name == name for peer in archive.settings.peers):
        raise ConfigError(f"the peer {name!r} is in {archive.settings.file}; change it there")
    peer = made(name, values)
    archive.registry.put_peer(PeerDefinition(name=name, definition=orjson.dumps(values).decode(), changed_at=at))
    return peer


def assume(attributes: dict[str, str], peer: Peer | None) -> None:
    """Add to index attributes what the peer's entry says about data sets that do not say it themselves.

    Only the index is filled in; the stored bytes and their metadata stay as they came.
    """
    if peer is None:
        return
    if peer.issuer_of_patient_id and attributes.get("PatientID"):
        attributes.setdefault("IssuerOfPatientID", peer.issuer_of_patient_id)
    if peer.timezone and (offset := _offset(attributes, ZoneInfo(peer.timezone))):
        attributes.setdefault("TimezoneOffsetFromUTC", offset)


def _offset(attributes: dict[str, str], where: ZoneInfo) -> str:
    """The zone's offset at the study's date and time, as (0008,0201) has it: "+0800"; "" for an undated study."""
    day, clock = attributes.get("StudyDate", "")[:8], attributes.get("StudyTime", "")[:4]
    try:
        local = datetime.fromisoformat(f"{day}T{clock if len(clock) == 4 else '1200'}") if len(day) == 8 else None
    except ValueError:
        local = None
    return local.replace(tzinfo=where).strftime("%z")[:5] if local else ""


def _check_title(ae_title: str, where: str) -> None:
    title = ae_title.strip()
    if not 1 <= len(title) <= AE_TITLE_CHARACTERS or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ConfigError(f"{where} has the AE title {ae_title!r}; one has 1 to 16 ASCII characters and no backslash")


def _check_site(site: str, where: str) -> None:
    if not SITE.fullmatch(site):
        raise ConfigError(f"{where} has the site {site!r}; one is lower-case letters, digits, - and _, 63 at most")


def _signature(settings: Settings) -> _Signature | None:
    """Changes with the file; None when there is none, or it is just being replaced."""
    if settings.file is None:
        return None
    try:
        status = settings.file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _difference(before: Roster, after: Roster) -> str:
    old, new = ({peer.name: peer for peer in one.peers} for one in (before, after))
    parts: Sequence[tuple[str, list[str]]] = (
        ("new", [name for name in new if name not in old]),
        ("gone", [name for name in old if name not in new]),
        ("changed", [name for name in new if name in old and new[name] != old[name]]),
    )
    said = [f"{word} {', '.join(names)}" for word, names in parts if names]
    return "; ".join(said) or "AE titles"
