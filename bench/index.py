"""Speed of the index alone: commits, single reads, searches.

    python -m bench.index DIRECTORY [STUDIES]          (DIRECTORY on the disk to be measured)
    python -m bench.index postgresql://user@host/empty [STUDIES]

Prints milliseconds of wall time and of this process's CPU time; on a busy machine only the second means something.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from storage.index import SqlIndex, migrate, open_index
from storage.query import Criterion, Fuzzy, Matcher, Query, Range, Single, Wildcard
from storage.records import InstanceRecord, Level, Location, Origin, ResourceRef

FAMILIES = ("ZHANG", "WANG", "LI", "ZHAO", "CHEN", "Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller")
HAN_FAMILIES, HAN_GIVEN = "张王李赵陈刘杨黄周吴", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
DESCRIPTIONS = ("CT HEAD", "CT CHEST W CONTRAST", "MR KNEE", "XR CHEST PA")
ORIGIN = Origin(door="DIMSE", name="CT01", address="127.0.0.1")
METADATA_BYTES = 2200
NAME, PATIENT_ID, ACCESSION, DATE = (0x00100010,), (0x00100020,), (0x00080050,), (0x00080020,)


def main() -> None:
    """Fill, then measure."""
    place, studies = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    url = place if "://" in place else f"sqlite://{Path(place).resolve() / 'index.sqlite'}"
    migrate(url)
    index = open_index(url)
    dice = random.Random(1)
    _commits(index, "one thread, one series", [_record(dice, 0, number) for number in range(500)], threads=1)
    _commits(index, "16 threads, one series", [_record(dice, 0, number) for number in range(500, 2500)], threads=16)
    records = [_record(dice, study, 0) for study in range(1, studies + 1)]
    _commits(index, "16 threads, new studies", records, threads=16)
    _reads(index, records[studies // 2])
    _searches(index, records[studies // 2])
    index.close()


def _commits(index: SqlIndex, name: str, records: list[InstanceRecord], *, threads: int) -> None:
    def commit(record: InstanceRecord) -> None:
        index.commit(record, ORIGIN, put_at=index.now(), duplicates="keep-first")

    began, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(commit, records))
    wall, cpu = time.perf_counter() - began, time.process_time() - worked
    print(f"commit, {name:28} {len(records) / wall:8.0f}/s wall {len(records) / cpu:8.0f}/s of CPU")


def _reads(index: SqlIndex, record: InstanceRecord) -> None:
    series = ResourceRef("default", "1.2.0", "1.2.0.1")
    _measure("instance", 1000, lambda: index.instance(record.ref))
    _measure("metadata of 2500 instances", 5, lambda: index.metadata(series))
    _measure("page of 1000 instances", 5, lambda: index.instances(series))


def _searches(index: SqlIndex, record: InstanceRecord) -> None:
    alphabetic, _, ideographic = record.attributes["PatientName"].partition("=")
    wanted: dict[str, tuple[tuple[int, ...], str, Matcher] | None] = {
        "list of 100": None,
        "name prefix, few": (NAME, "PN", Wildcard(f"{alphabetic}*")),
        "name prefix, many": (NAME, "PN", Wildcard("WANG*")),
        "name contains, few": (NAME, "PN", Wildcard(f"*{alphabetic[2:]}*")),
        "name contains, many": (NAME, "PN", Wildcard("*an*")),
        "name contains, two Han": (NAME, "PN", Wildcard(f"*{ideographic[2:]}*")),
        "name contains, one Han": (NAME, "PN", Wildcard(f"*{ideographic[0]}*")),
        "name fuzzy, pinyin, few": (NAME, "PN", Fuzzy(("zhang yongjie",))),
        "name fuzzy, initials, few": (NAME, "PN", Fuzzy(("zyj",))),
        "name fuzzy, two words, many": (NAME, "PN", Fuzzy(("zhang a",))),
        "name fuzzy, one letter": (NAME, "PN", Fuzzy(("z",))),
        "name fuzzy, nobody": (NAME, "PN", Fuzzy(("li smithers",))),
        "accession contains": (ACCESSION, "SH", Wildcard(f"*{record.attributes['AccessionNumber'][3:8]}*")),
        "one day": (DATE, "DA", Single(record.attributes["StudyDate"])),
        "date range": (DATE, "DA", Range("20150101", "20150630")),
        "PatientID": (PATIENT_ID, "LO", Single(record.attributes["PatientID"])),
    }
    for name, one in wanted.items():
        criteria = (Criterion(*one),) if one else ()
        numbers = iter(range(1_000_000))
        # A limit that differs each time, so that no answer comes from memory.
        _measure(name, 50, lambda c=criteria, n=numbers: index.search(_query(c, 100 + next(n))))  # type: ignore[misc]
    _measure("the same list again", 50, lambda: index.search(_query((), 100)))


def _query(criteria: tuple[Criterion, ...], limit: int) -> Query:
    return Query(site="default", level=Level.STUDY, criteria=criteria, limit=limit)


def _measure(name: str, times: int, work: Callable[[], object]) -> None:
    work()
    began, worked = time.perf_counter(), time.process_time()
    for _ in range(times):
        work()
    wall, cpu = (time.perf_counter() - began) / times * 1e3, (time.process_time() - worked) / times * 1e3
    print(f"{name:36} {wall:8.3f} ms wall {cpu:8.3f} ms of CPU")


def _record(dice: random.Random, study: int, number: int) -> InstanceRecord:
    uid = f"1.2.{study}"
    ref = ResourceRef("default", uid, f"{uid}.1", f"{uid}.1.{number}")
    digest = hashlib.sha256(str(ref).encode()).hexdigest()
    han = dice.choice(HAN_FAMILIES), dice.choice(HAN_GIVEN) + dice.choice(HAN_GIVEN)
    attributes = {
        "PatientName": f"{dice.choice(FAMILIES)}^{dice.choice('ABCDEFGHIJ')}{dice.randrange(1000)}={han[0]}^{han[1]}",
        "PatientID": f"{dice.randrange(10**8):08}",
        "AccessionNumber": f"A{dice.randrange(10**9):09}",
        "StudyDate": f"{2010 + study % 15}{dice.randrange(1, 13):02}{dice.randrange(1, 29):02}",
        "StudyTime": f"{dice.randrange(24):02}{dice.randrange(60):02}00",
        "StudyDescription": dice.choice(DESCRIPTIONS),
        "Modality": "CT",
        "InstanceNumber": str(number),
        "Rows": "512",
        "Columns": "512",
    }
    if study == 0:  # one study of many instances: they agree
        attributes |= dict.fromkeys(
            ("PatientName", "PatientID", "AccessionNumber", "StudyTime", "StudyDescription"), "0"
        )
        attributes["StudyDate"] = "20200101"
    return InstanceRecord(
        ref=ref,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        location=Location("hot", f"default/{uid}/{uid}.1/{uid}.1.{number}.{digest[:20]}.dcm"),
        size_bytes=528_000,
        sha256=digest,
        data_set_sha256=digest,
        data_set_offset=400,
        received_at=datetime.now(UTC),
        attributes=attributes,
        metadata_json=os.urandom(METADATA_BYTES),
        frame_table=os.urandom(40),
    )


if __name__ == "__main__":
    main()
