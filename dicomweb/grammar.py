"""Lists, quoted strings, media ranges, quality values (RFC 9110 §5.6, §8.3, §12.4, §12.5). Pure, linear in the input.

Real clients send unquoted `type=application/dicom` and trailing semicolons, so parameters are read leniently; a member
that makes no sense is left out, as PS3.18 §8.7.7 asks, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MEMBERS_LIMIT = 512  # members of one list that are looked at; the rest is ignored

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[^",;]+|[,;]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One member of an Accept header; type, subtype and parameter names in lower case, `q` in thousandths."""

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()
    q: int = 1000

    @property
    def essence(self) -> str:
        """`type/subtype`."""
        return f"{self.type}/{self.subtype}"

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter, in order; empty when absent."""
        return tuple(value for key, value in self.parameters if key == name)

    def covers(self, essence: str) -> bool:
        """Whether a concrete `type/subtype` falls in this range; parameters are not looked at."""
        wanted, _, sub = essence.partition("/")
        return self.type in ("*", wanted) and self.subtype in ("*", sub)


def parse_media_type(text: str) -> MediaRange | None:
    """A media type such as a Content-Type value, or None when it is not one."""
    ranges = parse_accept(text)
    return ranges[0] if len(ranges) == 1 else None


def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """The usable members of an Accept value in the order sent; q=0 members stay, they exclude."""
    found = (_media_range(member) for member in _members(text))
    return tuple(member for member in found if member is not None)


def parse_tokens(text: str) -> tuple[tuple[str, int], ...]:
    """A list of tokens with quality in thousandths, as in Accept-Encoding or Accept-Charset; tokens in lower case."""
    found = []
    for pieces in _members(text):
        name = pieces[0].strip().lower()
        quality = _quality(_parameters(pieces[1:]))
        if _TOKEN.fullmatch(name) and quality is not None:
            found.append((name, quality))
    return tuple(found)


def parse_entity_tags(text: str) -> frozenset[str]:
    """The opaque tags of If-None-Match with their quotes, weak marks dropped (RFC 9110 §13.1.2); `*` stays `*`."""
    tags = (pieces[0].strip().removeprefix("W/") for pieces in _members(text))
    return frozenset(tag for tag in tags if tag == "*" or (len(tag) > 1 and tag[0] == tag[-1] == '"'))


def parse_forwarded(text: str) -> tuple[dict[str, str], ...]:
    """The hops of a Forwarded value, nearest proxy last, parameter names in lower case (RFC 7239 §4)."""
    return tuple(dict(_parameters(pieces)) for pieces in _members(text)) if text else ()


def quote(text: str) -> str:
    """A quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _members(text: str) -> Iterator[list[str]]:
    """Members of a comma list, each cut at its semicolons; quoted strings are kept whole."""
    count, pieces, current = 0, [], ""
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece not in (",", ";"):
            current += piece
            continue
        pieces.append(current)
        current = ""
        if piece == ",":
            if any(part.strip() for part in pieces):
                yield pieces
                count += 1
                if count == MEMBERS_LIMIT:
                    return
            pieces = []
    pieces.append(current)
    if any(part.strip() for part in pieces):
        yield pieces


def _media_range(pieces: list[str]) -> MediaRange | None:
    kind, slash, subtype = pieces[0].strip().lower().partition("/")
    if kind == "*" and not slash:
        subtype, slash = "*", "/"  # old Java clients send a lone `*`
    if not slash or not _TOKEN.fullmatch(kind) or not _TOKEN.fullmatch(subtype) or (kind == "*" and subtype != "*"):
        return None
    parameters = _parameters(pieces[1:])
    quality = _quality(parameters)
    if quality is None:
        return None
    return MediaRange(kind, subtype, tuple(item for item in parameters if item[0] != "q"), quality)


def _parameters(pieces: list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name = name.strip().lower()
        if equals and _TOKEN.fullmatch(name):
            found.append((name, _unquoted(value.strip())))
    return tuple(found)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(
        r"\\(.)", r"\1", value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:], flags=re.DOTALL
    )


def _quality(parameters: tuple[tuple[str, str], ...]) -> int | None:
    """Thousandths; 1000 without a q, None when q is malformed."""
    for name, value in parameters:
        if name == "q":
            return round(float(value) * 1000) if _QUALITY.fullmatch(value) else None
    return 1000
