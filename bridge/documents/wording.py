"""How values of a data set are written for people: names, dates, times, text that is safe in markup. Pure."""

from __future__ import annotations

import html
import re

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # not a Char of XML 1.0 §2.2
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?")
_MOMENT = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:\.(\d{1,6}))?([+-]\d{4})?")


def escaped(text: str) -> str:
    """`text` for an element or a quoted attribute of HTML and XML."""
    return html.escape(readable(text))


def readable(text: str) -> str:
    """`text` with line ends as LF, and and U+FFFD for the characters that neither HTML nor XML can hold."""
    return _FORBIDDEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def date(text: str) -> str:
    """`20260305` -> `2026-03-05`; anything else as it is (PS3.5 §6.2, DA)."""
    match = _DATE.fullmatch(text.strip())
    return "-".join(match.groups()) if match else text


def time(text: str) -> str:
    """`101500.25` -> `10:15:00.25`; anything else as it is (PS3.5 §6.2, TM)."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return text
    clock = ":".join(part for part in match.groups()[:3] if part)
    return f"{clock}.{match[4]}" if match[4] else clock


def moment(text: str) -> str:
    """`20260305101500+0800` -> `2026-03-05 10:15:00 +0800`; anything else as it is (PS3.5 §6.2, DT)."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        return text
    parts = match.groups()
    day = "-".join(part for part in parts[:3] if part)
    clock = ":".join(part for part in parts[3:6] if part)
    fraction = f".{parts[6]}" if parts[6] else ""
    return " ".join(part for part in (day, clock + fraction, parts[7]) if part)


def name(text: str) -> str:
    """`Zhang^San=张^三` -> `Zhang, San (张 三)`: component groups and components for reading (PS3.5 §6.2.1)."""
    alphabetic, *others = [group.strip() for group in text.split("=")][:3]
    family, given, middle, prefix, suffix = ([part.strip() for part in alphabetic.split("^")] + [""] * 5)[:5]
    first = " ".join(part for part in (prefix, given, middle) if part)
    spoken = ", ".join(part for part in (family, first, suffix) if part)
    written = [" ".join(part for part in group.split("^") if part) for group in others]
    return f"{spoken} ({', '.join(filter(None, written))})".strip() if any(written) else spoken
