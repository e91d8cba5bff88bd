"""Accept in, representation out (PS3.18 §8.7). Pure: what is stored comes in as a transfer syntax UID, nothing is read.

`members` turns header and query parameter into wishes, best first. `document` and a `Chooser`'s `instance`, `frames`
and `bulk` choose for one kind of target, by the table of transfer syntaxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.errors import InvalidRequest, NotAcceptable
from bridge.syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    OCTETS,
    RLE_LOSSLESS,
    lookup,
)
from dicomweb.grammar import MediaRange, parse_accept

DICOM, JSON, XML, PLAIN_JSON = (
    "application/dicom",
    "application/dicom+json",
    "application/dicom+xml",
    "application/json",
)
ZIP = "application/zip"
MULTIPART = "multipart/related"
WEBP = "image/webp"
NOT_ON_THE_WEB = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})  # PS3.18 §8.7.3 (G1)

# Older and vendor names that clients still send -> the names of Tables 8.7.3-4 and 8.7.3-5 (DICOM.md W11).
ALIASES = {
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
    "image/jpg": "image/jpeg",
    "image/jll": "image/jpeg",
    "image/jph": "image/jphc",
    "video/mpeg": "video/mpeg2",
    "video/h265": "video/H265",
}
# What a compressed media type means without a transfer syntax (Table 8.7.3-5); lossless, each of them.
_DEFAULT_SYNTAXES = {
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/dicom-rle": RLE_LOSSLESS,
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
}
DICOM_TYPES = frozenset({DICOM, JSON, XML})
RENDERED_TYPES = frozenset(
    {"image/png", "image/gif", "text/html", "text/plain", "text/xml", "text/rtf", "application/pdf"}
)


@dataclass(frozen=True, slots=True)
class Representation:
    """What goes out: media type, its transfer syntax ("" where it has none), and whether in a multipart message."""

    media_type: str
    transfer_syntax_uid: str
    multipart: bool

    @property
    def content_type(self) -> str:
        """The Content-Type of the item; the UID stays unquoted for naive readers (DICOM.md section 3)."""
        if not self.transfer_syntax_uid:
            return self.media_type
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"


@dataclass(frozen=True, slots=True)
class Wish:
    """One acceptable thing: media type (may hold `*`), transfer syntax ("" not named, "*" as stored), form, quality."""

    media_type: str
    transfer_syntax: str
    multipart: bool | None  # None: `*/*`, the server chooses
    q: int

    def covers(self, media_type: str) -> bool:
        """Whether a concrete media type satisfies this wish's type."""
        if self.media_type == "*/*":
            return True
        kind, _, sub = self.media_type.partition("/")
        return self.media_type == media_type or (sub == "*" and media_type.startswith(kind + "/"))


def members(header: str | None, parameter: str | None = None, *, strict: bool = False) -> tuple[Wish, ...]:
    """Every acceptable thing, best first, ties in the order sent (§8.7.8.1; G5-G11).

    The `accept` query parameter wins over the header where its members fit the header. Raises NotAcceptable when
    nothing usable is left, InvalidRequest for a mixture of DICOM and rendered types.
    """
    if header is None and parameter is None and strict:
        raise NotAcceptable("the request has no Accept header; name a media type or */*")
    ranges = parse_accept("*/*" if header is None or not header.strip() else header)
    if parameter is not None:
        ranges = _from_parameter(parameter, ranges)
    _refuse_mixture(ranges)
    wishes = dict.fromkeys(wish for member in ranges for wish in _wishes(member))
    if not any(wish.q for wish in wishes):
        raise NotAcceptable("the Accept header names no usable media type")
    return tuple(sorted(wishes, key=lambda wish: -wish.q))


def document(wishes: Sequence[Wish]) -> str:
    """JSON, PLAIN_JSON or XML for metadata and search results (Table 10.4.4-1, 10.6.4-1; W2, Q23)."""
    chosen = _first(wishes, _JSON_FORMS)
    if chosen is None:
        raise NotAcceptable(f'possible here: {JSON}, {PLAIN_JSON}, {MULTIPART}; type="{XML}"')
    return chosen.media_type


def report(wishes: Sequence[Wish]) -> Representation:
    """The form of a single data set that answers a request, XML without multipart too (Table 10.5.4-1; T5)."""
    chosen = _first(wishes, (*_JSON_FORMS, Representation(XML, "", False)))
    if chosen is None:
        raise NotAcceptable(f"possible here: {JSON}, {PLAIN_JSON}, {XML}")
    return chosen


_JSON_FORMS = (Representation(JSON, "", False), Representation(PLAIN_JSON, "", False), Representation(XML, "", True))


def _first(wishes: Sequence[Wish], offered: Sequence[Representation]) -> Representation | None:
    """The first of the offered forms that the best wish grants."""
    return next((form for wish in wishes for form in offered if _grants(wish, form, wishes)), None)


@dataclass(frozen=True, slots=True)
class Chooser:
    """A negotiated choice that still depends on what is stored. `pick` is cheap and may be called per instance."""

    wishes: tuple[Wish, ...]
    one_item: bool  # single-part answers are possible only for one item (§10.4.4; G14)

    def instance(self, stored: str, producible: Sequence[str]) -> Representation:
        """How an instance in this transfer syntax, which can be converted to those, is sent as application/dicom.

        Raises NotAcceptable (W15).
        """
        for wish in self._usable():
            wanted = self._instance_syntax(wish, stored, producible)
            chosen = Representation(DICOM, wanted or "", wish.multipart is not False)
            if wanted is not None and _grants(wish, chosen, self.wishes):
                return chosen
        forms = f'{MULTIPART}; type="{DICOM}"' + (f", {DICOM}" if self.one_item else "") + f", {ZIP}"
        raise NotAcceptable(
            f"stored as {stored}; possible here: {forms}, transfer-syntax=* or {' or '.join(producible or (stored,))}"
        )

    def frames(self, stored: str, producible: Sequence[str]) -> Representation:
        """How frames of an instance in this transfer syntax are sent. Raises NotAcceptable (W10, W11, W14, W15)."""
        stored_type = _codestream_type(stored)
        for wish in self._usable():
            chosen = self._frame_choice(wish, stored, stored_type, producible)
            if chosen is not None and _rules(wish, chosen, self.wishes):
                return chosen
        possible = [f"{_frame_type(uid)}; transfer-syntax={uid}" for uid in (*producible, stored) if _frame_type(uid)]
        raise NotAcceptable(f"stored as {stored}; possible here: {MULTIPART} of {', '.join(dict.fromkeys(possible))}")

    def bulk(self, media_type: str) -> Representation:
        """How a bulk value is sent: octets, or its own media type where it has one (§10.4.1.1.5; W6, W8)."""
        for wish in self._usable():
            for offered in dict.fromkeys((media_type, OCTETS)):
                chosen = Representation(offered, "", wish.multipart is not False)
                if _grants(wish, chosen, self.wishes):
                    return chosen
        raise NotAcceptable(f"possible here: {MULTIPART} or single part of {OCTETS} or {media_type}")

    def rendered(self, offered: Sequence[str], *, several: bool = False) -> Representation:
        """How something that can be rendered as `offered`, the default first, is sent (§8.7.4, §10.4.4; W16, W17).

        `several`: one item that shows several things, which `*/*` gets all of, and a single part type the first.
        WebP gives way to whatever is wished as much: it takes ten times the work, and browsers name it first.
        """
        wishes = sorted(self._usable(), key=lambda wish: (-wish.q, wish.media_type == WEBP))
        for wish in wishes:
            is_multipart = (several or not self.one_item) if wish.multipart is None else wish.multipart
            for media_type in offered:
                known_as = Representation(ALIASES.get(media_type, media_type), "", is_multipart)
                if not wish.transfer_syntax and _grants(wish, known_as, self.wishes):
                    return Representation(media_type, "", is_multipart)
        forms = ", ".join(offered) if offered else f"{DICOM} and {JSON} of the object; there is nothing to render"
        raise NotAcceptable(f"possible here: {forms}" + ("" if self.one_item or not offered else f" in {MULTIPART}"))

    def _usable(self) -> Iterable[Wish]:
        return (wish for wish in self.wishes if wish.q and (self.one_item or wish.multipart is not False))

    def _instance_syntax(self, wish: Wish, stored: str, producible: Sequence[str]) -> str | None:
        """The transfer syntax that fulfils a wish, or None."""
        wanted = wish.transfer_syntax
        if wanted == "*":
            return EXPLICIT_VR_LITTLE_ENDIAN if _is_native(stored) else stored  # also deflated, unless it is named (G1)
        if wanted == "":
            wanted = stored if _is_lossy(stored) else EXPLICIT_VR_LITTLE_ENDIAN  # G2
        if wanted in NOT_ON_THE_WEB:
            return None
        return wanted if wanted == stored or wanted in producible else None

    def _frame_choice(
        self, wish: Wish, stored: str, stored_type: str | None, producible: Sequence[str]
    ) -> Representation | None:
        """As stored, raw or compressed, whichever fulfils the wish; None when none does."""
        named, multipart = wish.transfer_syntax, wish.multipart is not False
        if stored_type is not None:
            is_original = named in ("*", stored) and (wish.covers(OCTETS) or wish.covers(stored_type))
            is_its_type = named == "" and wish.covers(stored_type) and not wish.covers(OCTETS)
            is_lossy_default = named == "" and wish.media_type == "*/*" and _is_lossy(stored)
            if is_original or is_its_type or is_lossy_default:
                return Representation(stored_type, stored, multipart)
        decodable = EXPLICIT_VR_LITTLE_ENDIAN in producible
        if decodable and named in ("", "*", EXPLICIT_VR_LITTLE_ENDIAN) and wish.covers(OCTETS):
            return Representation(OCTETS, EXPLICIT_VR_LITTLE_ENDIAN, multipart)
        target = named or _DEFAULT_SYNTAXES.get(wish.media_type, "")
        media_type = _codestream_type(target)
        if target in producible and media_type and (wish.covers(media_type) or wish.covers(OCTETS)):
            return Representation(media_type, target, multipart)
        return None


def wishes_for_zip(wishes: Sequence[Wish]) -> tuple[Wish, ...]:
    """The wishes for what is in a ZIP archive, as single parts, when an archive is what is wished most; else none.

    Only who names `application/zip` gets one (Sup 211; W25).
    """
    for wish in wishes:
        if wish.q and wish.media_type == ZIP:
            zips = (other for other in wishes if other.media_type == ZIP)
            return tuple(replace(other, media_type=DICOM, multipart=False) for other in zips)
        if wish.q and (wish.covers(DICOM) or wish.covers(OCTETS)):
            break
    return ()


def is_bulk_only(wishes: Sequence[Wish]) -> bool:
    """Whether octets in a multipart message are wished and nothing else an instance is sent as (Table 10.4.4-1)."""
    wished = [wish for wish in wishes if wish.q]
    files = any(wish.covers(DICOM) or wish.media_type == ZIP for wish in wished)
    return not files and any(wish.multipart and wish.covers(OCTETS) for wish in wished)


def _codestream_type(uid: str) -> str | None:
    """The media type of a frame that is not plain octets (Tables 8.7.3-4, 8.7.3-5)."""
    row = lookup(uid)
    return row.media_type if row is not None and row.media_type not in ("", OCTETS) else None


def _frame_type(uid: str) -> str | None:
    """The media type of frames in this transfer syntax, None where there are none on the web."""
    return OCTETS if uid == EXPLICIT_VR_LITTLE_ENDIAN else _codestream_type(uid)


def _is_native(stored: str) -> bool:
    row = lookup(stored)
    return row is not None and row.native


def _is_lossy(stored: str) -> bool:
    """Pixels compressed with loss are the original, so they may be sent as they are by default (§8.7.3.4)."""
    row = lookup(stored)
    return row is not None and row.lossy


def _grants(wish: Wish, offered: Representation, wishes: Sequence[Wish]) -> bool:
    """Whether this wish asks for `offered`, and no closer range thinks less of it."""
    return wish.q > 0 and _matches(wish, offered) and _rules(wish, offered, wishes)


def _matches(wish: Wish, offered: Representation) -> bool:
    return (
        wish.multipart in (None, offered.multipart)
        and wish.covers(offered.media_type)
        and wish.transfer_syntax in ("", "*", offered.transfer_syntax_uid or EXPLICIT_VR_LITTLE_ENDIAN)
    )


def _rules(wish: Wish, offered: Representation, wishes: Sequence[Wish]) -> bool:
    """The most specific range decides a representation's quality (§8.7.8.1; G8), so q=0 on a closer one excludes it."""
    closest = max((other for other in wishes if _matches(other, offered)), key=_closeness, default=wish)
    return closest.q >= wish.q


def _closeness(wish: Wish) -> tuple[int, bool, bool]:
    """`*/*` below `image/*` below `image/jpeg`, then the form, then a named transfer syntax."""
    return (2 - wish.media_type.count("*"), wish.multipart is not None, wish.transfer_syntax not in ("", "*"))


def _from_parameter(parameter: str, header: tuple[MediaRange, ...]) -> tuple[MediaRange, ...]:
    """The `accept` parameter's members that the header allows (§8.3.3.1; G9)."""
    chosen = parse_accept(parameter)
    if not chosen or any("*" in member.essence for member in chosen):
        raise InvalidRequest("the accept parameter must be a list of media types without wildcards")
    fitting = tuple(member for member in chosen if any(_fits(member, allowed) for allowed in header))
    if not fitting:
        raise NotAcceptable("the accept parameter names nothing that the Accept header allows")
    return fitting


def _fits(member: MediaRange, allowed: MediaRange) -> bool:
    if allowed.q == 0 or not allowed.covers(member.essence):
        return False
    inner = allowed.values("type")
    return not inner or not member.values("type") or inner[0].lower() in ("*/*", member.values("type")[0].lower())


def _refuse_mixture(ranges: Iterable[MediaRange]) -> None:
    """DICOM and rendered types in one list are 400 (§8.7.5; G9, G10). Types of both families are no reason."""
    named = {(member.values("type") or (member.essence,))[0].lower() for member in ranges if member.q}
    if named & DICOM_TYPES and named & RENDERED_TYPES:
        raise InvalidRequest("Accept mixes DICOM and rendered media types; ask for one kind (PS3.18 section 8.7.5)")


def _wishes(member: MediaRange) -> Iterable[Wish]:
    """The wishes of one member. A transfer syntax named twice (clients do) counts as alternatives in that order."""
    is_multipart = member.essence == MULTIPART or (member.type == "multipart" and member.subtype == "*")
    if member.type == "multipart" and not is_multipart:
        return
    inner = (member.values("type") or ("*/*",))[0].lower() if is_multipart else member.essence
    form = True if is_multipart else None if inner == "*/*" else False
    for syntax in member.values("transfer-syntax") or ("",):
        yield Wish(ALIASES.get(inner, inner), syntax.strip(), form, member.q)
