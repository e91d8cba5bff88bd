"""The answer to a store request: its status, and the data set that says what became of each instance (PS3.18 §I)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bridge import errors
from bridge.ingest import Receipt
from dicomweb import problem
from storage.keys import is_uid
from storage.records import Outcome

# PS3.18 Table I.2-2: why an instance was not stored (0008,1197). A subclass without a row takes its parent's.
REASONS: dict[type[errors.BridgeError], int] = {
    errors.BridgeError: 0x0110,  # processing failure
    errors.Conflict: 0x0111,  # PS3.7 §C.5.11 duplicate SOP instance; not in the table, but what senders know
    errors.ClassNotSupported: 0x0122,  # referenced SOP class not supported
    errors.Forbidden: 0x0124,  # not authorized
    errors.OutOfResources: 0xA700,
    errors.Unavailable: 0xA700,
    errors.TooLarge: 0xA700,
    errors.ClassMismatch: 0xA900,  # data set does not match SOP class, or the study asked for
    errors.InvalidInstance: 0xC000,  # cannot understand
    errors.SyntaxNotSupported: 0xC122,  # referenced transfer syntax not supported
}
# PS3.18 Table I.2-1: what is to be known of an instance that was stored (0008,1196).
CONFLICT, NAMED_OTHERWISE = 0xB000, 0xB007
WARNINGS: dict[int, str] = {
    CONFLICT: "kept as a conflict: another data set has this SOP Instance UID",
    NAMED_OTHERWISE: "the file meta information names another SOP Instance UID than the data set",
}

_RETRIEVE_URL, _REASON, _WARNING = "00081190", "00081197", "00081196"
_FAILED, _REFERENCED, _OTHER_FAILURES = "00081198", "00081199", "0008119A"
_CLASS, _INSTANCE = "00081150", "00081155"

DataSet: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that was taken. `named_otherwise`: its file meta information has another SOP Instance UID."""

    receipt: Receipt
    named_otherwise: bool = False

    @property
    def warning(self) -> int | None:
        """The WarningReason, None without one."""
        if self.receipt.outcome is Outcome.CONFLICT:
            return CONFLICT
        return NAMED_OTHERWISE if self.named_otherwise else None


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance that was not taken, and what it called itself, "" where that is not known."""

    error: errors.BridgeError
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    @property
    def reason(self) -> int:
        """The FailureReason."""
        return next(REASONS[kind] for kind in type(self.error).__mro__ if kind in REASONS)


Result: TypeAlias = Stored | Failed


def status_of(results: Sequence[Result]) -> int:
    """PS3.18 Table 10.5.3-1 (T4). When nothing was stored for one and the same kind of reason, that reason's status."""
    failures = [item.error for item in results if isinstance(item, Failed)]
    if len(failures) == len(results):
        kinds = {_status_of_error(error) for error in failures}
        return kinds.pop() if len(kinds) == 1 else 409
    warned = any(isinstance(item, Stored) and item.warning for item in results)
    return 202 if failures or warned else 200


def data_set(results: Sequence[Result], base: str) -> DataSet:
    """The Store Instances Response Module (PS3.18 Table I.1-1) in DICOM JSON; sequences are there only with items."""
    studies = studies_of(results)
    one = f"{base}/studies/{studies[0]}" if len(studies) == 1 else ""  # type 2: empty when the request spans studies
    answer: DataSet = {_RETRIEVE_URL: _value("UR", one)}
    named = [item for item in results if isinstance(item, Failed) and is_uid(item.sop_instance_uid)]
    others = [item for item in results if isinstance(item, Failed) and not is_uid(item.sop_instance_uid)]
    stored = [item for item in results if isinstance(item, Stored)]
    for tag, items in (
        (_FAILED, [_failed_item(item) for item in named]),
        (_REFERENCED, [_stored_item(item, base) for item in stored]),
        (_OTHER_FAILURES, [{_REASON: _value("US", item.reason)} for item in others]),
    ):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    return answer


def studies_of(results: Iterable[Result]) -> list[str]:
    """The studies that something was stored in, in order."""
    stored = (item.receipt.ref.study_instance_uid for item in results if isinstance(item, Stored))
    return list(dict.fromkeys(stored))


def sentences(results: Iterable[Result]) -> list[str]:
    """What went wrong, each sentence once."""
    found: dict[str, None] = {}
    for item in results:
        if isinstance(item, Failed):
            found[str(item.error)] = None
        elif item.warning is not None:
            found[WARNINGS[item.warning]] = None
    return list(found)


def _status_of_error(error: errors.BridgeError) -> int:
    return 500 if type(error) is errors.BridgeError else problem.status_of(error)


def _failed_item(item: Failed) -> DataSet:
    return {
        _CLASS: _value("UI", item.sop_class_uid),
        _INSTANCE: _value("UI", item.sop_instance_uid),
        _REASON: _value("US", item.reason),
    }


def _stored_item(item: Stored, base: str) -> DataSet:
    ref = item.receipt.ref
    path = f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"
    found = {
        _CLASS: _value("UI", item.receipt.sop_class_uid),
        _INSTANCE: _value("UI", ref.sop_instance_uid),
        _RETRIEVE_URL: _value("UR", f"{base}{path}"),
    }
    if item.warning is not None:
        found[_WARNING] = _value("US", item.warning)
    return found


def _value(vr: str, value: str | int | None) -> DataSet:
    return {"vr": vr} if value in ("", None) else {"vr": vr, "Value": [value]}
