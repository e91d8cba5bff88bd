"""Filling an archive: n tiny studies, a series of many CT slices, a multi-frame object, slices in JPEG 2000; and the
truth about them.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path

from bench.answers import search
from bench.objects import (
    Person,
    Template,
    compressed_template,
    ct_series,
    ct_template,
    multiframe_template,
    person,
    tiny_template,
    uid,
)
from bench.senders import push, write_files
from bench.target import CACHE, STABLE_AGE_S, Target, rest

BATCHES = 10
ASSOCIATIONS = 4
_ELSEWHEN = "19000101"  # out of every date range that is searched
_SINGLES = 50_000  # before the number of a compressed slice that is asked for by itself
_TINY, _SERIES, _MULTI = 5 * 10**36, 6 * 10**36, 7 * 10**36


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the archives hold: `studies` tiny ones, then the CT study, then the multi-frame study."""

    studies: int
    slices: int
    frames: int
    implicit: bool = False
    compressed: int = 60  # slices in JPEG 2000
    singles: int = 0  # more of them, a series beside: whoever remembers what was decoded sees each once only

    def people(self) -> list[Person]:
        """The patients of the tiny studies."""
        return [person(number, self.studies) for number in range(self.studies)]

    @property
    def ct_patient(self) -> Person:
        """Whose the CT study is."""
        return replace(person(10**7 + self.slices + self.implicit, 10**8), study_date=_ELSEWHEN)

    @property
    def multiframe_patient(self) -> Person:
        """Whose the multi-frame study is."""
        return replace(person(2 * 10**7 + self.frames, 10**8), study_date=_ELSEWHEN)

    @property
    def ct_series(self) -> str:
        """The CT study's one series."""
        return uid(_SERIES + self.ct_patient.number)

    def ct_instance(self, number: int) -> str:
        """Slice `number`, from 0."""
        return uid(_SERIES + 10**9 + self.ct_patient.number * 10**5 + number)

    @property
    def multiframe_path(self) -> str:
        """The multi-frame object's resource."""
        who = self.multiframe_patient
        series, instance = uid(_MULTI + who.number), uid(_MULTI + 10**9 + who.number)
        return f"/studies/{who.study_uid}/series/{series}/instances/{instance}"

    @property
    def compressed_patient(self) -> Person:
        """Whose the compressed study is."""
        return replace(person(5 * 10**7 + self.compressed, 10**8), study_date=_ELSEWHEN)

    @property
    def compressed_paths(self) -> list[str]:
        """The compressed slices' resources."""
        return self._compressed_paths(0, self.compressed)

    @property
    def single_paths(self) -> list[str]:
        """The resources of the compressed slices beside the series."""
        return self._compressed_paths(_SINGLES, self.singles)

    def compressed_files(self) -> list[bytearray]:
        """The compressed slices in the order of their numbers."""
        return self._compressed_files(0, self.compressed)

    def single_files(self) -> list[bytearray]:
        """The compressed slices beside the series."""
        return self._compressed_files(_SINGLES, self.singles)

    def orthanc_id(self, path: str) -> str:
        """What Orthanc calls a compressed slice: the SHA-1 of its patient, study, series and instance."""
        key = "|".join([self.compressed_patient.patient_id, *path.split("/")[2::2]])
        digest = sha1(key.encode(), usedforsecurity=False).hexdigest()
        return "-".join(digest[at : at + 8] for at in range(0, 40, 8))

    def _compressed_paths(self, first: int, count: int) -> list[str]:
        series, instance = self._compressed_series(first)
        path = f"/studies/{self.compressed_patient.study_uid}/series/{series}/instances"
        return [f"{path}/{uid(instance + number)}" for number in range(count)]

    def _compressed_files(self, first: int, count: int) -> list[bytearray]:
        series, instance = self._compressed_series(first)
        return list(ct_series(self.compressed_patient, count, series, instance, compressed_template()))

    def _compressed_series(self, first: int) -> tuple[str, int]:
        """A series of the compressed study and what its instances are numbered from."""
        number = self.compressed_patient.number
        return uid(_SERIES + number + 10**4 * first), _SERIES + 10**9 + number * 10**5 + first

    def ct_files(self) -> list[bytearray]:
        """The CT slices in the order of their numbers."""
        first = int(self.ct_instance(0).removeprefix("2.25.1"))
        template = ct_template(implicit=self.implicit)
        return list(ct_series(self.ct_patient, self.slices, self.ct_series, first, template))

    def multiframe_file(self) -> bytearray:
        """The multi-frame object."""
        who = self.multiframe_patient
        series, instance = uid(_MULTI + who.number), uid(_MULTI + 10**9 + who.number)
        return multiframe_template(self.frames).fill(who, series=series, instance=instance)


def fill(
    servers: dict[str, Target], contents: Contents, *, stable_age_s: float = STABLE_AGE_S, rest_limit_s: float = 1200.0
) -> dict[str, list[float]]:
    """Send what each server lacks, wait until they rest; returns tiny objects/s of each batch."""
    template = tiny_template()
    rates: dict[str, list[float]] = {name: [] for name in servers}
    filled = False
    CACHE.mkdir(parents=True, exist_ok=True)
    for name, target in servers.items():
        if not _holds(target, contents.people()[-1]):
            order = list(range(contents.studies))
            random.Random(1).shuffle(order)
            order.sort(key=lambda number: number == contents.studies - 1)  # the last says that all are there
            for batch in range(BATCHES):
                share = order[batch * len(order) // BATCHES : (batch + 1) * len(order) // BATCHES]
                if share:
                    rates[name].append(_send_tiny(target, contents.studies, share, template))
            filled = True
            print(f"{name}: filled with {contents.studies} tiny studies, objects/s by tenths: "
                  + " ".join(f"{rate:.0f}" for rate in rates[name]), flush=True)  # fmt: skip
        if not _holds(target, contents.ct_patient):
            _send(target, contents.ct_files(), ASSOCIATIONS)
            filled = True
        if not _holds(target, contents.multiframe_patient):
            _send(target, [contents.multiframe_file()], 1)
            filled = True
        if not _holds(target, contents.compressed_patient):
            _send(target, contents.compressed_files(), ASSOCIATIONS, ("-xv",))
            filled = True
        if contents.singles and not _holds_instance(target, contents.single_paths[-1]):
            _send(target, contents.single_files(), ASSOCIATIONS, ("-xv",))
            filled = True
    if filled:
        rest(servers, stable_age_s=stable_age_s, deadline_s=rest_limit_s)
        print("at rest", flush=True)
    return rates


def _holds(target: Target, who: Person) -> bool:
    return any(search(target, f"/studies?StudyInstanceUID={who.study_uid}"))


def _holds_instance(target: Target, path: str) -> bool:
    return any(search(target, f"/instances?SOPInstanceUID={path.rpartition('/')[2]}"))


def _send_tiny(target: Target, studies: int, share: list[int], template: Template) -> float:
    files = (
        template.fill(person(number, studies), series=uid(_TINY + number), instance=uid(_TINY + 10**9 + number))
        for number in share
    )
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        folders = write_files(Path(folder), files, ASSOCIATIONS)
        os.sync()
        return len(share) / push(target, folders)


def _send(target: Target, files: list[bytearray], associations: int, options: Sequence[str] = ()) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        push(target, write_files(Path(folder), files, min(associations, len(files))), options)
