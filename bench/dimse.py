"""DIMSE speed: C-FIND over many studies, C-GET and C-MOVE of a CT series; the same client against each server.

`python -m bench.dimse --start --studies 10000`. The client is our own requestor, which reads answers without decoding
them; C-MOVE goes to DCMTK's storescp, which throws away what it gets. Answers are checked before they are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import measure
from bench.answers import WrongAnswer
from bench.fill import Contents, fill
from bench.measure import Measure
from bench.objects import Person
from bench.rival import SINK
from bench.senders import SYSTEM_FOLDERS
from bench.servers import add_arguments, targets, variant
from bench.target import Target, free_port, wait_for_port
from bridge.settings import Dimse
from scp.command import SUCCESS, Command, CommandField, Element, Status
from scp.proposal import Accepted
from scp.scu import Offer, Outgoing, Remote, open_association

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
FIND, MOVE, GET = STUDY_ROOT + "1", STUDY_ROOT + "2", STUDY_ROOT + "3"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
VARIANTS = 20  # different values a search is asked with
SEARCH_S = 3.0  # a round of one kind of query
RETRIEVAL_S = 2.0  # a round of one kind of retrieval: a series alone takes a tenth of that, and one pause spoils it
_DIMSE = Dimse(response_timeout_s=300.0)
_RETURNED = {"00100010": "PN", "00100020": "LO", "00080020": "DA", "00080050": "SH", "0020000D": "UI", "00201208": "IS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of query: the identifiers it is asked with, and the studies each of them finds."""

    name: str
    asked: Sequence[dict[str, Any]]
    right: Sequence[set[str]]


class Sink:
    """Takes what comes by C-GET, and counts it."""

    def __init__(self) -> None:
        self.instances: set[str] = set()
        self.size_bytes = 0

    def begin(self, command: Command, _context: Accepted) -> Sink:
        """An object is announced."""
        self.instances.add(command.uid(Element.AFFECTED_SOP_INSTANCE_UID))
        return self

    def write(self, chunk: memoryview) -> None:
        """Some of its bytes."""
        self.size_bytes += len(chunk)

    def complete(self) -> Status:
        """All of it."""
        return SUCCESS

    def abandon(self) -> None:
        """The association is gone."""


def find_cases(contents: Contents) -> list[Case]:
    """C-FIND at study level over the tiny studies."""
    people = contents.people()
    chosen = people[:: max(1, len(people) // VARIANTS)][:VARIANTS]

    def case(name: str, tag: str, words: Sequence[str], holds: Callable[[Person, str], bool]) -> Case:
        right = [{who.study_uid for who in people if holds(who, word)} for word in words]
        return Case(name=name, asked=[_identifier(tag, word) for word in words], right=right)

    everybody = {
        who.study_uid
        for who in (*people, contents.ct_patient, contents.multiframe_patient, contents.compressed_patient)
    }
    return [
        Case(name=f"all {len(everybody)} studies", asked=[_identifier("", "")], right=[everybody]),
        case("name prefix", "00100010", [f"{who.name.split('^')[0]}*" for who in chosen],
             lambda who, word: who.name.startswith(word[:-1])),
        case("Chinese name contains", "00100010", [f"*{who.name.split('=')[1].split('^')[0]}*" for who in chosen],
             lambda who, word: word.strip("*") in who.name),
        case("one day", "00080020", [who.study_date for who in chosen], lambda who, word: who.study_date == word),
        case("PatientID", "00100020", [who.patient_id for who in chosen], lambda who, word: who.patient_id == word),
    ]  # fmt: skip


def run_finds(servers: dict[str, Target], contents: Contents, rounds: int) -> list[Measure]:
    """Queries a second over one association."""
    measures = []
    for case in find_cases(contents):
        for target in servers.values():
            _check(target, case)
        item = Measure(name=f"C-FIND {case.name}", unit="queries/s", goal=5.0, stretch=20.0)
        measures.append(
            measure.interleave(item, sorted(servers, reverse=True), rounds, partial(_rate_of, servers, case))
        )
    return measures


def run_retrievals(servers: dict[str, Target], contents: Contents, rounds: int) -> list[Measure]:
    """Instances a second of the CT series, by C-GET and by C-MOVE."""
    order = sorted(servers, reverse=True)
    get = Measure(name=f"C-GET of {contents.slices} CT", unit="instances/s", goal=1.5, stretch=3.0)
    move = Measure(name=f"C-MOVE of {contents.slices} CT", unit="instances/s", goal=1.5, stretch=3.0)
    return [
        measure.interleave(get, order, rounds, lambda name: _repeated(_get, servers[name], contents)),
        measure.interleave(move, order, rounds, lambda name: _repeated(_move, servers[name], contents)),
    ]


@contextlib.contextmanager
def sink(port: int) -> Iterator[None]:
    """DCMTK's storescp, keeping nothing."""
    program = shutil.which("storescp", path=SYSTEM_FOLDERS)
    if program is None:
        raise RuntimeError("DCMTK's storescp is not installed")
    environment = os.environ | {"TCP_NODELAY": "1"}
    process = subprocess.Popen([program, "-aet", SINK, "--ignore", str(port)], env=environment)
    try:
        wait_for_port("127.0.0.1", port, lambda: process.poll() is None)
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def _calling(target: Target, *offers: Offer) -> Iterator[Outgoing]:
    remote = Remote(target.ae_title, target.host, target.port)
    with open_association(remote, offers, calling_ae_title="BENCH", dimse=_DIMSE) as association:
        yield association


def _identifier(tag: str, word: str) -> dict[str, Any]:
    identifier: dict[str, Any] = {name: {"vr": vr} for name, vr in _RETURNED.items()}
    identifier["00080052"] = {"vr": "CS", "Value": ["STUDY"]}
    if tag:
        identifier[tag] = {"vr": _RETURNED[tag], "Value": [word]}
    if not word.isascii():
        identifier["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return identifier


def _check(target: Target, case: Case) -> None:
    with _calling(target, Offer(FIND, (EXPLICIT,))) as association:
        for identifier, right in list(zip(case.asked, case.right, strict=True))[:3]:
            found = {one["0020000D"]["Value"][0] for one in association.find(FIND, identifier)}
            if found != right:
                raise WrongAnswer(f"{target.name} finds {len(found)} of {len(right)} studies for {case.name}")


def _rate_of(servers: dict[str, Target], case: Case, name: str) -> float:
    target = servers[name]
    with _calling(target, Offer(FIND, (EXPLICIT,))) as association:
        context = association.contexts[1]
        begin, queries = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - begin) < SEARCH_S or queries < 2:
            which = queries % len(case.asked)
            answers = sum(one.is_pending for one in association.query(context, CommandField.C_FIND, case.asked[which]))
            if answers != len(case.right[which]):
                raise WrongAnswer(f"{target.name} finds {answers} of {len(case.right[which])} studies for {case.name}")
            queries += 1
        return queries / elapsed


def _series(contents: Contents) -> dict[str, Any]:
    return {
        "00080052": {"vr": "CS", "Value": ["SERIES"]},
        "0020000D": {"vr": "UI", "Value": [contents.ct_patient.study_uid]},
        "0020000E": {"vr": "UI", "Value": [contents.ct_series]},
    }


def _repeated(retrieve: Callable[[Target, Contents], float], target: Target, contents: Contents) -> float:
    """Instances a second over as many retrievals as fit a round."""
    spent_s, retrievals = 0.0, 0
    while spent_s < RETRIEVAL_S:
        spent_s += retrieve(target, contents)
        retrievals += 1
    return retrievals * contents.slices / spent_s


def _get(target: Target, contents: Contents) -> float:
    """Seconds of one C-GET, checked."""
    taken = Sink()
    with _calling(target, Offer(GET, (EXPLICIT,)), Offer(CT, (EXPLICIT,), as_scp=True)) as association:
        begin = time.perf_counter()
        *_, last = association.get(GET, _series(contents), taken.begin)
        elapsed = time.perf_counter() - begin
    if last.status.code or taken.instances != {contents.ct_instance(number) for number in range(contents.slices)}:
        raise WrongAnswer(f"{target.name} sent {len(taken.instances)} instances, status {last.status.code:04X}")
    return elapsed


def _move(target: Target, contents: Contents) -> float:
    """Seconds of one C-MOVE, checked."""
    with _calling(target, Offer(MOVE, (EXPLICIT,))) as association:
        begin = time.perf_counter()
        *_, last = association.move(MOVE, _series(contents), SINK)
        elapsed = time.perf_counter() - begin
    completed = last.number(Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS)
    if last.status.code or completed != contents.slices:
        raise WrongAnswer(f"{target.name} moved {completed} instances, status {last.status.code:04X}")
    return elapsed


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--studies", type=int, default=10000)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument(
        "--sink-port", type=int, default=free_port(), help="where C-MOVE goes; a running server must know"
    )
    arguments = parser.parse_args()
    contents = Contents(studies=arguments.studies, slices=arguments.slices, frames=10)
    with targets(arguments) as servers, sink(arguments.sink_port):
        fill(servers, contents)
        print(measure.HEADER)
        measures = run_finds(servers, contents, arguments.rounds)
        measures += run_retrievals(servers, contents, arguments.rounds)
    measure.save(arguments.results / f"dimse{variant(arguments)}.json", measures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
