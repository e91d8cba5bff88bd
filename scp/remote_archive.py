"""A DICOM archive that we pull from: C-FIND, then C-GET or C-MOVE to ourselves (PS3.4 §C.4.1-C.4.3), Study Root.

By C-GET every storage class is offered once for each transfer syntax, so that objects come as they are stored there
and none is decoded for our sake. An association serves one question or one part and is released.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from bridge.archive import Archive
from bridge.errors import ConfigError
from bridge.identifiers import Document
from bridge.pulling.matches import (
    INSTANCES,
    MODALITIES,
    MODALITY,
    PATIENT_ID,
    SERIES_UID,
    SOP_CLASS,
    SOP_UID,
    STUDY_DATE,
    STUDY_UID,
    instance,
    studies_in,
    text,
    with_uid,
)
from bridge.pulling.remote import (
    Arrivals,
    Barred,
    Refused,
    RemoteInstance,
    RemoteSeries,
    RemoteStudy,
    TooMany,
    Unreachable,
)
from bridge.pulling.selection import Days, Selection
from bridge.settings import Peer
from bridge.syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
    STORABLE,
)
from scp.command import Element
from scp.connection import Broken
from scp.contexts import IDENTIFIER_SYNTAXES
from scp.models import IMAGE, SERIES, STUDY
from scp.proposal import CONTEXTS_LIMIT
from scp.scu import NoAssociation, Offer, OperationFailed, Outcome, Outgoing, Remote, open_association
from scp.status import CLASS_NOT_SUPPORTED, DESTINATION_UNKNOWN, SOME_FAILED, SUCCESS
from scp.taking import Taker
from scp.upper_layer import ProtocolError
from scp.usual_classes import usual_classes
from storage.keys import is_uid

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_BY = {"auto": (STUDY_ROOT_GET, STUDY_ROOT_MOVE), "get": (STUDY_ROOT_GET,), "move": (STUDY_ROOT_MOVE,)}

# Statuses of a C-FIND that was answered in part: A7xx out of resources, FE00 when the peer ends it (PS3.4 Table C.4-1).
_CUT_OFF = (*range(0xA700, 0xA800), 0xFE00)
_WAY_OUT = "it does not know the destination of the C-MOVE: enter our AE title, host and port there"
_LEAST_SYNTAXES = 6  # for each class, when each has a context of its own
_SYNTAXES_LIMIT = 32  # of one context; there are peers that break off at more than 50
# The likeliest come first: where contexts run out the last ones are left out.
_LIKELIEST = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, First-Order Prediction
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    RLE_LOSSLESS,
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
_SYNTAXES = (*_LIKELIEST, *(uid for uid in STORABLE if uid not in _LIKELIEST))

_LEVEL = "00080052"


class RemoteArchive:
    """A Source. `by`: auto takes C-GET where the peer offers it; `destination`: an AE title of ours the peer knows."""

    def __init__(self, archive: Archive, peer: Peer, remote: Remote, *, site: str, by: str, destination: str) -> None:
        self.name = peer.name
        self.site = site
        self._archive = archive
        self._peer = peer
        self._remote = remote
        self._models = _BY[by]
        self._destination = destination

    def studies(self, selection: Selection, days: Days | None) -> Sequence[RemoteStudy]:
        """See Source."""
        modalities = selection.modalities
        keys = {
            **_key(STUDY_DATE, "DA", days.range if days else ""),
            **_key(MODALITIES, "CS", modalities[0] if len(modalities) == 1 else ""),
            **_key(PATIENT_ID, "LO", selection.patient),
            **_key(STUDY_UID, "UI", selection.study),
            **_key(INSTANCES, "IS", ""),
        }
        with self._association([_offer(STUDY_ROOT_FIND)]) as association:
            return studies_in(_found(association, STUDY, keys), selection)

    def series(self, study: RemoteStudy) -> Sequence[RemoteSeries]:
        """See Source."""
        keys = {**_key(STUDY_UID, "UI", study.study_instance_uid), **_key(SERIES_UID, "UI", "")}
        with self._association([_offer(STUDY_ROOT_FIND)]) as association:
            found = list(with_uid(_found(association, SERIES, {**keys, **_key(MODALITY, "CS", "")}), SERIES_UID))
            return [
                RemoteSeries(
                    study_instance_uid=study.study_instance_uid,
                    series_instance_uid=text(one, SERIES_UID),
                    modality=text(one, MODALITY),
                    instances=self._instances(association, study.study_instance_uid, text(one, SERIES_UID)),
                )
                for one in found
            ]

    def fetch(self, part: RemoteSeries, arrivals: Arrivals, *, singly: bool) -> None:
        """See Source."""
        requests = [[one] for one in part.instances] if singly else [list(part.instances)]
        problem = ""
        with self._association(offers(part, self._models)) as association:
            by_get = _can_get(association)
            for instances in requests:
                identifier = _retrieval(part, instances)
                outcomes = (
                    association.get(STUDY_ROOT_GET, identifier, self._taker(part, arrivals))
                    if by_get
                    else association.move(STUDY_ROOT_MOVE, identifier, self._destination)
                )
                problem = self._followed(outcomes, None if by_get else arrivals) or problem
        if problem:  # there are peers that say "destination unknown" of whatever fails; of one instance it is believed
            raise (Barred if singly and problem == _WAY_OUT else Refused)(problem)

    def _instances(self, association: Outgoing, study: str, series: str) -> tuple[RemoteInstance, ...]:
        keys = {
            **_key(STUDY_UID, "UI", study),
            **_key(SERIES_UID, "UI", series),
            **_key(SOP_UID, "UI", ""),
            **_key(SOP_CLASS, "UI", ""),
        }
        return tuple(instance(one) for one in with_uid(_found(association, IMAGE, keys), SOP_UID))

    def _taker(self, part: RemoteSeries, arrivals: Arrivals) -> Taker:
        return Taker(self._archive, self._peer, self._remote.host, self.site, part.study_instance_uid, arrivals)

    def _followed(self, outcomes: Iterable[Outcome], arrivals: Arrivals | None) -> str:
        """Read the responses to the end; what is wrong, "" when nothing is. `arrivals` hears of a C-MOVE's counts."""
        completed = 0
        for outcome in outcomes:
            count = outcome.number(Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS)
            if arrivals is not None and count > completed:
                arrivals.arrived(count - completed)
                completed = count
            code = outcome.status.code
            if not outcome.is_pending and code not in (SUCCESS, SOME_FAILED):
                return _WAY_OUT if code == DESTINATION_UNKNOWN else str(OperationFailed(outcome.status))
        return ""

    @contextmanager
    def _association(self, offers: Sequence[Offer]) -> Iterator[Outgoing]:
        """An association; what goes wrong on it is said in a Source's words."""
        settings = self._archive.settings
        try:
            with open_association(
                self._remote,
                offers,
                calling_ae_title=settings.dimse.ae_title,
                dimse=settings.dimse,
                tls=settings.tls,
            ) as association:
                yield association
        except NoAssociation as error:
            raise (Unreachable if error.is_transient else Barred)(str(error)) from error
        except (Broken, ProtocolError) as error:
            raise Unreachable(f"the association broke: {error}") from error
        except OperationFailed as error:
            if error.status.code == CLASS_NOT_SUPPORTED:
                raise Barred(f"it offers no such service to {settings.dimse.ae_title}: {error}") from error
            raise (TooMany if error.status.code in _CUT_OFF else Refused)(str(error)) from error


def offers(part: RemoteSeries, models: Sequence[str]) -> list[Offer]:
    """The models of retrieval, and for C-GET the part's storage classes in every syntax there is room for."""
    first = [_offer(model) for model in models]
    if STUDY_ROOT_GET not in models:
        return first
    named = sorted({one.sop_class_uid for one in part.instances if is_uid(one.sop_class_uid)})
    classes = named or usual_classes(part.modality)
    room = CONTEXTS_LIMIT - len(first)
    each = max(1, room // len(classes))
    storage = [Offer(uid, (syntax,), as_scp=True) for syntax in _SYNTAXES[:each] for uid in classes]
    if each < _LEAST_SYNTAXES:  # too many classes for that: one context each, and the peer chooses
        storage = [Offer(uid, _SYNTAXES[:_SYNTAXES_LIMIT], as_scp=True) for uid in classes]
    return first + storage[:room]


def titled(archive: Archive, destination: str) -> str:
    """The AE title of ours that a peer is to send to. Raises ConfigError for one that we do not answer to."""
    dimse = archive.settings.dimse
    known = {dimse.ae_title, *(one.ae_title for one in archive.settings.ae_titles)}
    if destination and dimse.check_called_ae_title and destination not in known:
        raise ConfigError(f"{destination} is no AE title of ours; there are {', '.join(sorted(known))}")
    return destination or dimse.ae_title


def _can_get(association: Outgoing) -> bool:
    """Whether the peer offers C-GET, and a class to send in."""
    classes = {context.abstract_syntax for context in association.contexts.values()}
    return STUDY_ROOT_GET in classes and len(classes - {STUDY_ROOT_GET, STUDY_ROOT_MOVE}) > 0


def _found(association: Outgoing, level: str, keys: Document) -> Iterator[Document]:
    return association.find(STUDY_ROOT_FIND, {**_key(_LEVEL, "CS", level), **keys})


def _retrieval(part: RemoteSeries, instances: Sequence[RemoteInstance]) -> Document:
    """A whole series by its UID; else the instances by theirs (List of UID Matching, PS3.4 §C.2.2.2.2)."""
    is_whole = part.is_whole and len(instances) == len(part.instances) and len(instances) > 1
    identifier = {
        **_key(_LEVEL, "CS", SERIES if is_whole else IMAGE),
        **_key(STUDY_UID, "UI", part.study_instance_uid),
        **_key(SERIES_UID, "UI", part.series_instance_uid),
    }
    if not is_whole:
        identifier[SOP_UID] = {"vr": "UI", "Value": [one.sop_instance_uid for one in instances]}
    return identifier


def _offer(model: str) -> Offer:
    return Offer(model, IDENTIFIER_SYNTAXES)


def _key(tag: str, vr: str, value: str) -> Document:
    return {tag: {"vr": vr, "Value": [value]} if value else {"vr": vr}}
