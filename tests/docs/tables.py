"""The conformance statement's tables, made from the tables of the code: `python -m tests.docs.tables` writes them.

In the page each stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bridge.compression import COMPRESSIONS
from bridge.errors import BridgeError, ConfigError
from bridge.kinds import DOCUMENT_TYPES, PRESENTATION_CLASSES, WAVEFORM_CLASSES
from bridge.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from bridge.render.waveform import SVG
from bridge.syntaxes import STORABLE, TRANSFER_SYNTAXES
from dicomweb.store_report import REASONS, WARNINGS
from scp.contexts import STORAGE_CLASSES
from scp.models import OPTIONS, QUERY_RETRIEVE
from scp.services import SERVICES
from scp.status import (
    CANCELLED,
    DESTINATION_UNKNOWN,
    PENDING,
    PENDING_WITH_UNSUPPORTED_KEYS,
    SOME_FAILED,
    STATUSES,
    TOO_MANY_MATCHES,
    UNABLE_TO_PERFORM,
)
from storage.attributes import ATTRIBUTES, COMPUTED, MATCHABLE_COMPUTED
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "conformance.md"
BLOCK = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(*heads: str, rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def implementation() -> str:
    """PS3.7 §D.3.3.2."""
    rows = (
        ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
        ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
    )
    return table("", "", rows=rows)


def services() -> str:
    """What the DIMSE door answers."""
    return table(
        "Request", "Handled by", rows=((_name(field), f"`scp/{made.__module__.split('.')[-1]}.py`")
        for field, (_, made) in sorted(SERVICES.items()))
    )  # fmt: skip


def query_retrieve() -> str:
    """The information models of PS3.4 Annex C."""
    rows = ((model.name, f"`{uid}`", ", ".join(model.levels)) for uid, model in QUERY_RETRIEVE.items())
    return table("SOP class", "UID", "Levels", rows=rows)


def query_options() -> str:
    """What extended negotiation agrees to (PS3.4 §C.5)."""
    rows = (
        (f"C-{service.upper()}", number, name.replace("_", " "), "yes" if done else "no")
        for service, options in OPTIONS.items()
        for number, (name, done) in enumerate(options, 1)
    )
    return table("Service", "Byte", "Option", "Done when negotiated", rows=rows)


def retrieval_statuses() -> str:
    """How queries and retrievals go on and end."""
    rows = (
        ("C-FIND", PENDING, "A match, all of whose keys are supported."),
        ("C-FIND", PENDING_WITH_UNSUPPORTED_KEYS, "A match; a key of a lower level was asked for."),
        ("C-FIND", TOO_MANY_MATCHES, "More matches than `dimse.search_limit`."),
        ("C-GET, C-MOVE", PENDING, "Sub-operations go on; their counts."),
        ("C-GET, C-MOVE", SOME_FAILED, "All sub-operations are over; some failed or came with a warning."),
        ("C-GET, C-MOVE", UNABLE_TO_PERFORM, "All sub-operations failed."),
        ("C-MOVE", DESTINATION_UNKNOWN, "No peer of that AE title has a host and a port."),
        ("all three", CANCELLED, "Cancelled."),
    )
    return table("Service", "Status", "When", rows=((service, f"0x{code:04X}", when) for service, code, when in rows))


def storage_classes() -> str:
    """Every storage SOP class that is known by name."""
    rows = sorted((name, f"`{uid}`") for uid, name in STORAGE_CLASSES.items())
    return table("SOP class", "UID", rows=rows)


def transfer_syntaxes() -> str:
    """What can be stored, and what can be decoded for clients that ask for other syntaxes."""
    rows = (
        (
            row.name + (" (retired)" if row.retired else ""),
            f"`{row.uid}`",
            "yes" if uid in STORABLE else "no",
            "yes" if row.decodable else "no",
            f"`{row.media_type}`" if row.media_type else "",
        )
        for uid, row in TRANSFER_SYNTAXES.items()
    )
    return table("Transfer syntax", "UID", "Stored", "Decoded", "A frame on the web", rows=rows)


def compressions() -> str:
    """What images are compressed into for clients that name it."""
    rows = (
        (
            TRANSFER_SYNTAXES[uid].name,
            f"`{uid}`",
            row.method or "lossless",
            ", ".join(row.interpretations),
            ", ".join(f"{stored} of {allocated}" for allocated, stored in map(_bits, row.bits)),
            "yes" if row.signed else "no",
            ", ".join(f"{before} as {after}" for before, after in row.photometric),
        )
        for uid, row in COMPRESSIONS.items()
    )
    return table("Compressed into", "UID", "Method", "Images", "Bits", "Signed", "Sent", rows=rows)


def statuses() -> str:
    """How refusals are said by DIMSE."""
    said = {BridgeError: "Anything else went wrong."}
    rows = (
        (f"0x{code:04X}", said.get(error) or _sentence(error.__doc__))
        for error, code in STATUSES.items()
        if error is not ConfigError  # ends the process at its start, no peer sees it
    )
    return table("Status", "When", rows=sorted(rows))


def store_reasons() -> str:
    """How a store request says why an instance was not stored."""
    said = {BridgeError: "Anything else went wrong."}
    rows = ((f"0x{code:04X}", code, said.get(error) or _sentence(error.__doc__)) for error, code in REASONS.items())
    return table("FailureReason", "Decimal", "When", rows=sorted(rows))


def store_warnings() -> str:
    """What a store request says of an instance that was stored."""
    return table(
        "WarningReason", "Decimal", "When", rows=((f"0x{code:04X}", code, text) for code, text in WARNINGS.items())
    )


def attributes() -> str:
    """What can be searched for with an index, by DIMSE and by DICOMweb."""
    returned = {"R": "always", "O": "when known", "A": "when asked for"}
    rows = [
        (row.keyword, f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X})", row.vr, row.level.name.title(), "yes",
         returned[row.returned])
        for row in ATTRIBUTES
    ]  # fmt: skip
    for keyword, (tag, vr, level) in COMPUTED.items():
        matched = "yes" if keyword in MATCHABLE_COMPUTED else "no"
        rows.append((keyword, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", vr, level.name.title(), matched, "computed"))
    return table("Attribute", "Tag", "VR", "Level", "Matched", "Returned", rows=rows)


def shown_classes() -> str:
    """What instances that are no plain images are shown as; reports, images and video go by rule, not by class."""
    shown = {uid: f"`{media_type}`" for uid, media_type in DOCUMENT_TYPES.items()}
    shown |= dict.fromkeys(WAVEFORM_CLASSES, f"a drawing: the types of an image, `{SVG}`")
    shown |= dict.fromkeys(PRESENTATION_CLASSES, "its images: the types of an image")
    rows = sorted((STORAGE_CLASSES[uid], f"`{uid}`", text) for uid, text in shown.items())
    return table("SOP class", "UID", "Rendered as", rows=rows)


TABLES: dict[str, Callable[[], str]] = {
    "implementation": implementation,
    "services": services,
    "query-retrieve": query_retrieve,
    "query-options": query_options,
    "retrieval-statuses": retrieval_statuses,
    "storage-classes": storage_classes,
    "transfer-syntaxes": transfer_syntaxes,
    "compressions": compressions,
    "statuses": statuses,
    "store-reasons": store_reasons,
    "store-warnings": store_warnings,
    "attributes": attributes,
    "shown-classes": shown_classes,
}


def filled(page: str) -> str:
    """The page with every table as the code has it now."""
    return BLOCK.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], page)


def _name(field: int) -> str:
    return str(getattr(field, "name", f"0x{field:04X}")).replace("_", "-", 1).replace("_RQ", "")


def _bits(row: tuple[int, int, int]) -> tuple[int, str]:
    allocated, first, last = row
    return allocated, str(first) if first == last else f"{first}-{last}"


def _sentence(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
