"""Random archives, random questions, and what is right: plain loops that share no code with the archive."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from tests.bridge.archives import data_set

STUDY_KEYS = {
    "StudyDate": (0x00080020, "DA"), "StudyTime": (0x00080030, "TM"), "AccessionNumber": (0x00080050, "SH"),
    "PatientName": (0x00100010, "PN"), "PatientID": (0x00100020, "LO"), "PatientSex": (0x00100040, "CS"),
    "StudyDescription": (0x00081030, "LO"), "StudyInstanceUID": (0x0020000D, "UI"), "StudyID": (0x00200010, "SH"),
    "ModalitiesInStudy": (0x00080061, "CS"),
}  # fmt: skip
SERIES_KEYS = {
    "Modality": (0x00080060, "CS"), "SeriesNumber": (0x00200011, "IS"), "SeriesDescription": (0x0008103E, "LO"),
    "BodyPartExamined": (0x00180015, "CS"), "SeriesInstanceUID": (0x0020000E, "UI"),
    "RequestAttributesSequence.ScheduledProcedureStepID": (0x00400009, "SH"),
}  # fmt: skip
IMAGE_KEYS = {
    "InstanceNumber": (0x00200013, "IS"), "SOPInstanceUID": (0x00080018, "UI"), "KVP": (0x00180060, "DS"),
    "ImageComments": (0x00204000, "LT"),
}  # fmt: skip
LEVELS = {
    "STUDY": ("StudyInstanceUID", STUDY_KEYS),
    "SERIES": ("SeriesInstanceUID", STUDY_KEYS | SERIES_KEYS),
    "IMAGE": ("SOPInstanceUID", STUDY_KEYS | SERIES_KEYS | IMAGE_KEYS),
}
REQUEST = 0x00400275

NAMES = ["Zhang^San=张^三", "ZHANG^SI", "Müller^Jörg", "Muller^Jorg", "李^四", "O'Neil^Ann Mary", ""]
TEXTS = ["", "HEAD", "head", "CT HEAD", "胸部", "A_1", "A%1", "[x]", "A1", "A2", "B1"]
DATES = ["", "20250101", "20251231", "20260101", "20260305", "20260306"]
TIMES = ["", "10", "1015", "101500", "101500.5", "230000", "235959.999999"]


@dataclass(frozen=True)
class Entity:
    """A study, series or image: attribute -> values, its own and those above it."""

    uid: str
    values: dict[str, list[str]]


@dataclass
class World:
    """What is archived, as entities and as data sets."""

    entities: dict[str, list[Entity]] = field(default_factory=lambda: {level: [] for level in LEVELS})
    data_sets: list[bytes] = field(default_factory=list)


def world(dice: random.Random, *, studies: int = 12) -> World:
    """A random archive."""
    made = World()
    for study_number in range(studies):
        uid = f"1.2.826.0.1.3680043.10.9.{study_number}"
        study = {
            "StudyInstanceUID": uid, "StudyDate": dice.choice(DATES), "StudyTime": dice.choice(TIMES),
            "AccessionNumber": dice.choice(TEXTS[3:]), "PatientName": dice.choice(NAMES), "StudyID": dice.choice(TEXTS),
            "PatientID": f"P{study_number % 5}", "PatientSex": dice.choice(["M", "F", "O", ""]),
            "StudyDescription": dice.choice(TEXTS),
        }  # fmt: skip
        modalities: list[str] = []
        below: list[dict[str, list[str]]] = []
        for series_number in range(dice.randint(1, 3)):
            below += _series(dice, made, study, f"{uid}.{series_number}", modalities)
        modality_list = sorted(set(modalities))
        for values in below:
            values["ModalitiesInStudy"] = modality_list
        own = {keyword: _listed(value) for keyword, value in study.items()} | {"ModalitiesInStudy": modality_list}
        made.entities["STUDY"].append(Entity(uid, own))
    return made


def _series(
    dice: random.Random, made: World, study: dict[str, str], uid: str, modalities: list[str]
) -> list[dict[str, list[str]]]:
    steps = [dice.choice(["STEP1", "STEP2", "STEP3"]) for _ in range(dice.randint(0, 2))]
    series = {
        "SeriesInstanceUID": uid, "Modality": dice.choice(["CT", "MR", "US", "SR"]),
        "SeriesNumber": str(dice.randint(1, 3)), "SeriesDescription": dice.choice(TEXTS),
        "BodyPartExamined": dice.choice(["HEAD", "CHEST", ""]),
    }  # fmt: skip
    modalities.append(series["Modality"])
    values = {keyword: _listed(value) for keyword, value in (study | series).items()}
    values["RequestAttributesSequence.ScheduledProcedureStepID"] = steps
    made.entities["SERIES"].append(Entity(uid, values))
    all_values = [values]
    for number in range(1, dice.randint(1, 3) + 1):
        image = {"KVP": dice.choice(["", "80", "120"]), "ImageComments": dice.choice(TEXTS)}
        own = values | {keyword: _listed(value) for keyword, value in image.items()}
        own |= {"InstanceNumber": [str(number)], "SOPInstanceUID": [f"{uid}.{number}"]}
        made.entities["IMAGE"].append(Entity(f"{uid}.{number}", own))
        all_values.append(own)
        below = {
            keyword: value for keyword, value in (study | series | image).items() if not keyword.endswith("InstanceUID")
        }
        items = [Dataset() for _ in steps]
        for item, step in zip(items, steps, strict=True):
            item.ScheduledProcedureStepID = step
        made.data_sets.append(
            data_set(
                number, study=study["StudyInstanceUID"], series=uid, RequestAttributesSequence=items, **below
            )
        )  # fmt: skip
    return all_values


@dataclass(frozen=True)
class Question:
    """A level, keys with their values as text, and the right answer's test."""

    level: str
    keys: dict[str, str]
    is_right: Callable[[Entity], bool]

    def answer(self, about: World) -> set[str]:
        """The unique keys of all that match, by brute force."""
        return {entity.uid for entity in about.entities[self.level] if self.is_right(entity)}


def question(dice: random.Random, about: World) -> Question:
    """A random question, about values that are there more often than not."""
    level = dice.choice(list(LEVELS))
    known = LEVELS[level][1]
    chosen = dice.sample(sorted(known), dice.randint(1, 3))
    keys, tests = {}, []
    for keyword in chosen:
        entity = dice.choice(about.entities[level])
        own = dice.choice(entity.values[keyword] or [""])
        keys[keyword], test = _key(dice, known[keyword][1], own)
        tests.append((keyword, test))
    spans = {keyword: keys.get(keyword, "") for keyword in ("StudyDate", "StudyTime")}
    if all("-" in value for value in spans.values()):  # one interval (PS3.18 §8.3.4.1.1)
        tests = [(keyword, test) for keyword, test in tests if keyword not in spans]

        def is_right(entity: Entity) -> bool:
            return _in_interval(entity, *spans.values()) and all(test(entity.values[key]) for key, test in tests)
    else:

        def is_right(entity: Entity) -> bool:
            return all(test(entity.values[key]) for key, test in tests)

    return Question(level, keys, is_right)


Test = Callable[[list[str]], bool]


def _key(dice: random.Random, vr: str, own: str) -> tuple[str, Test]:
    """A value for a key and what it means, by the kinds of PS3.4 §C.2.2.2."""
    kinds = ["exact", "universal", "empty"]
    kinds += {"DA": ["range"] * 3, "TM": ["range"] * 3, "UI": ["list"]}.get(vr, [])
    kinds += ["wildcard"] * 2 if vr in ("SH", "LO", "PN", "CS", "LT") else []
    kinds += ["list"] if vr == "CS" else []
    kind = dice.choice(kinds)
    if kind == "universal" or not own:
        return ("", lambda _: True) if kind != "empty" else ('""', lambda values: not values)
    if kind == "empty":
        return '""', lambda values: not values
    if kind == "range":
        low, high = sorted((own, dice.choice([text for text in (DATES if vr == "DA" else TIMES) if text])))
        low, high = dice.choice([(low, high), ("", high), (low, "")])
        return f"{low}-{high}", lambda values: any(_within(vr, value, low, high) for value in values)
    if kind == "list":
        wanted = [own, "1.2.3" if vr == "UI" else "XA"]
        return "\\".join(wanted), lambda values: any(value in wanted for value in values)
    if kind == "wildcard":
        return _wildcard(dice, vr, own)
    return own, lambda values: any(_equal(vr, own, value) for value in values)


def _wildcard(dice: random.Random, vr: str, own: str) -> tuple[str, Test]:
    cut = dice.randint(0, len(own))
    pattern = dice.choice(
        [own[:cut] + "*", "*" + own[cut:], f"*{own[cut : cut + 2]}*", own[:cut] + "?" + own[cut + 1 :]]
    )
    if set(pattern) == {"*"}:
        return pattern, lambda _: True
    text = _folded(pattern) if vr == "PN" else pattern
    regex = re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text.strip()), re.DOTALL)

    def test(values: list[str]) -> bool:
        return any(regex.fullmatch(form) for value in values for form in _forms(vr, value))

    return pattern, test


def _equal(vr: str, wanted: str, value: str) -> bool:
    if vr == "TM" and len(wanted) >= 6:  # one moment; less of it is an hour or a minute
        return _moment(value, "0") == _moment(wanted, "0")
    if vr in ("DA", "TM"):
        return _within(vr, value, wanted, wanted)
    if vr in ("IS", "DS"):
        return float(value) == float(wanted)
    return (_folded(wanted) if vr == "PN" else wanted) in _forms(vr, value)


def _forms(vr: str, value: str) -> list[str]:
    """What a value is known by: a name also by each of its component groups."""
    return [_folded(value), *map(_folded, value.split("="))] if vr == "PN" else [value]


def _folded(text: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(plain.casefold().split())


def _within(vr: str, value: str, low: str, high: str) -> bool:
    if vr == "DA":
        return (low or "0") <= value <= (high or "9")
    return (_moment(low, "0") if low else "") <= _moment(value, "0") <= (_moment(high, "9") if high else "9")


def _moment(text: str, pad: str) -> str:
    """HHMMSS.FFFFFF: what is not said is the first or the last possible."""
    digits, _, fraction = text.partition(".")
    rest = "000000" if pad == "0" else "005959"
    return f"{digits}{rest[len(digits) :]}.{(fraction.ljust(6, '0') if fraction else pad * 6)}"


def _in_interval(entity: Entity, dates: str, times: str) -> bool:
    """A date range and a time range as one; a day without a time counts whole."""
    if not entity.values["StudyDate"]:
        return False
    day, (first_day, last_day), (first, last) = entity.values["StudyDate"][0], dates.split("-"), times.split("-")
    low = first_day + (_moment(first, "0") if first else "000000.000000") if first_day else ""
    high = last_day + (_moment(last, "9") if last else "235959.999999") if last_day else "9"
    if not entity.values["StudyTime"]:
        return (first_day or "0") <= day <= (last_day or "9")
    return low <= day + _moment(entity.values["StudyTime"][0], "0") <= high


def _listed(value: Any) -> list[str]:
    return [value] if value else []
