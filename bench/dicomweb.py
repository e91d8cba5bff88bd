"""DICOMweb speed: searches over many studies, metadata, instances, frames, a whole study; the same client against each
server.

`python -m bench.dicomweb --start --studies 10000`. Every kind of answer is checked against the truth before it is
counted.

A single instance in another transfer syntax is asked of the rival by its own REST interface, with `--gdcm`
(`/instances/ID/file?transcode=UID`): its DICOMweb plugin answers 500 or closes the connection, and is of no use
afterwards. Over one connection it is the latency of one instance that is measured, over four what all cores bring. Who
remembers what was decoded must not win by that, so each instance is asked for once in the whole run; a case of its own
("again") asks for a few of them over and over.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from PIL import Image

from bench import measure
from bench.answers import DICOM, JSON, OCTETS, WrongAnswer, data_set_syntax, digest, instances_at, parts, search, value
from bench.client import fetch, load
from bench.fill import Contents, fill
from bench.measure import Measure
from bench.objects import Person
from bench.servers import add_arguments, targets, variant
from bench.target import Target

ZIP = "application/zip"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT = DICOM.replace("*", EXPLICIT_VR_LITTLE_ENDIAN)
EXPLICIT_FILE = f"application/dicom; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}"
SEARCH_CONNECTIONS = 2
RETRIEVE_CONNECTIONS = 8
TRANSCODE_CONNECTIONS = (1, 4)
SINGLES = 60  # of one sample, each asked for once
AGAIN = 20  # instances asked for over and over
VARIANTS = 20  # different values a search is asked with, so that remembering one answer helps nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table: what is asked, how an answer is checked, what counts as good."""

    name: str
    paths: Sequence[str]  # below the service's root
    check: Callable[[Target], None]  # raises WrongAnswer
    accept: str = JSON
    connections: int = SEARCH_CONNECTIONS
    megabytes: bool = False
    goal: float | None = 10.0
    stretch: float | None = 100.0
    once: int = 0  # answers of a sample where nothing may be asked for twice; rounds end where the paths do
    asked: Callable[[Target], list[str]] | None = None  # the whole paths, where a server is asked in its own way

    def paths_at(self, target: Target) -> list[str]:
        """What this server is asked for."""
        return self.asked(target) if self.asked else [target.root + path for path in self.paths]


def search_cases(contents: Contents) -> list[Case]:
    """QIDO-RS (PS3.18 §10.6) over the tiny studies."""
    people = contents.people()
    chosen = people[:: max(1, len(people) // VARIANTS)][:VARIANTS]
    days = sorted({who.study_date for who in people})

    def case(
        name: str, parameter: str, asked: Sequence[str], holds: Callable[[Person, str], bool], limit: str = "&limit=101"
    ) -> Case:
        paths = [f"/studies?{parameter}={quote(word)}{limit}" for word in asked]

        def check(target: Target) -> None:
            for path, word in list(zip(paths, asked, strict=True))[:3]:
                _expect(target, path, {who.study_uid for who in people if holds(who, word)})

        return Case(name=name, paths=paths, check=check)

    def first_hundred(target: Target) -> None:
        known = {
            who.study_uid
            for who in (*people, contents.ct_patient, contents.multiframe_patient, contents.compressed_patient)
        }
        answered = [value(item, "0020000D") for item in search(target, "/studies?limit=100")]
        if len(set(answered)) != min(100, len(known)) or not set(answered) <= known:
            raise WrongAnswer(f"{target.name} lists {len(set(answered))} studies")

    spans = [f"{days[at]}-{days[min(at + 19, len(days) - 1)]}" for at in range(0, len(days), max(1, len(days) // 20))]
    return [
        Case(name="study list of 100", paths=["/studies?limit=100"], check=first_hundred),
        case("name prefix", "PatientName", [f"{who.name.split('^')[0]}*" for who in chosen],
             lambda who, word: who.name.startswith(word[:-1])),
        case("name contains", "PatientName", [f"*{who.name.split('^')[0][1:]}*" for who in chosen],
             lambda who, word: word.strip("*") in who.name),
        # no limit: the rival applies it before it has compared Chinese letters, and then answers too few
        case("Chinese name contains", "PatientName", [f"*{who.name.split('=')[1].split('^')[0]}*" for who in chosen],
             lambda who, word: word.strip("*") in who.name, limit=""),
        case("one day", "StudyDate", [who.study_date for who in chosen], lambda who, word: who.study_date == word),
        case("date range of 20 days", "StudyDate", spans[:VARIANTS],
             lambda who, word: word[:8] <= who.study_date <= word[9:]),
        case("PatientID", "PatientID", [who.patient_id for who in chosen], lambda who, word: who.patient_id == word),
    ]  # fmt: skip


def series_cases(contents: Contents) -> list[Case]:
    """Searches and metadata of the CT study (PS3.18 §10.6, §10.4.1.1.2)."""
    study = f"/studies/{contents.ct_patient.study_uid}"
    uids = {contents.ct_instance(number) for number in range(contents.slices)}

    def instances(target: Target) -> None:
        _expect(target, f"{study}/instances", uids, "00080018")

    def metadata(target: Target) -> None:
        items = search(target, f"{study}/series/{contents.ct_series}/metadata")
        if {value(item, "00080018") for item in items} != uids or any(value(item, "00280010") != 512 for item in items):
            raise WrongAnswer(f"{target.name}'s series metadata is not that of the series")

    slices = contents.slices
    return [
        Case(name=f"/instances of a {slices}-instance study", paths=[f"{study}/instances"], check=instances),
        Case(name=f"series metadata, {slices} instances", check=metadata, goal=5.0, stretch=20.0,
             paths=[f"{study}/series/{contents.ct_series}/metadata"]),
    ]  # fmt: skip


def retrieve_cases(contents: Contents) -> list[Case]:
    """Instances, frames, rendered images and the whole study (PS3.18 §10.4)."""
    study = f"/studies/{contents.ct_patient.study_uid}"
    files = contents.ct_files()
    paths = [f"{study}/series/{contents.ct_series}/instances/{contents.ct_instance(n)}" for n in range(contents.slices)]
    pixels = hashlib.sha256(_pixels(files[0], 1)).hexdigest()
    frames = _pixels(contents.multiframe_file(), contents.frames)
    frame_bytes = len(frames) // contents.frames
    multi = [f"{contents.multiframe_path}/frames/{number + 1}" for number in range(contents.frames)]

    def instance(target: Target) -> None:
        if not contents.implicit and [digest(part) for part in instances_at(target, paths[0])] != [digest(files[0])]:
            raise WrongAnswer(f"{target.name} returns another instance")

    def frame(target: Target) -> None:
        if hashlib.sha256(_frame(target, f"{paths[0]}/frames/1")).hexdigest() != pixels:
            raise WrongAnswer(f"{target.name} returns another frame")

    def multiframe(target: Target) -> None:
        number = contents.frames // 2
        if _frame(target, multi[number]) != frames[number * frame_bytes : (number + 1) * frame_bytes]:
            raise WrongAnswer(f"{target.name} returns another frame of the multi-frame object")

    def whole(target: Target) -> None:
        found = instances_at(target, study)
        if len(found) != len(files):
            raise WrongAnswer(f"{target.name} returns {len(found)} instances of the study")
        if not contents.implicit and {digest(part) for part in found} != {digest(file) for file in files}:
            raise WrongAnswer(f"{target.name} returns other instances of the study")

    series = contents.compressed_paths[0].rpartition("/instances/")[0]

    def transcoded_series(target: Target) -> None:
        answer = fetch(target.http_address, target.root + series, EXPLICIT)
        found = parts(answer.headers["content-type"], answer.body) if answer.status == 200 else []
        if not all(_is_decoded(one, pixels) for one in found) or len(found) != contents.compressed:
            raise WrongAnswer(f"{target.name} answered {answer.status} and not the images to decode")

    def zipped(target: Target) -> None:
        answer = fetch(target.http_address, target.root + study, ZIP)
        if answer.status != 200 or answer.headers["content-type"] != ZIP:
            raise WrongAnswer(f"{target.name} answered {answer.status} to a ZIP")
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            if {digest(archive.read(name)) for name in archive.namelist()} != {digest(file) for file in files}:
                raise WrongAnswer(f"{target.name} packs other instances")

    def image(suffix: str) -> Callable[[Target], None]:
        def check(target: Target) -> None:
            answer = fetch(target.http_address, target.root + paths[0] + suffix, "image/jpeg")
            if answer.status != 200 or Image.open(io.BytesIO(answer.body)).format != "JPEG":
                raise WrongAnswer(f"{target.name} returns no JPEG to {suffix}")

        return check

    eight = RETRIEVE_CONNECTIONS
    return [
        Case(name="instance", paths=paths, check=instance, accept=DICOM, connections=eight, goal=2.0, stretch=None),
        Case(name="frame", paths=[f"{path}/frames/1" for path in paths], check=frame, accept=OCTETS, connections=eight,
             goal=1.5, stretch=None),
        Case(name=f"frame of a {contents.frames}-frame object", paths=multi, check=multiframe, accept=OCTETS,
             connections=eight, goal=1.5, stretch=None),
        *transcode_cases(contents, pixels),
        Case(name=f"transcode a series of {contents.compressed}: JPEG 2000 to Explicit VR Little Endian",
             paths=[series], check=transcoded_series, accept=EXPLICIT, connections=1, megabytes=True, goal=1.5,
             stretch=None),
        Case(name="rendered", paths=[f"{path}/rendered" for path in paths], check=image("/rendered"),
             accept="image/jpeg", connections=eight, goal=2.0, stretch=3.0),
        Case(name="thumbnail", paths=[f"{path}/thumbnail" for path in paths], check=image("/thumbnail"),
             accept="image/jpeg", connections=eight, goal=5.0, stretch=20.0),
        Case(name=f"study of {contents.slices}", paths=[study], check=whole, accept=DICOM, connections=1,
             megabytes=True, goal=1.3, stretch=2.0),
        Case(name=f"zip of a study of {contents.slices}", paths=[study], check=zipped, accept=ZIP, connections=1,
             megabytes=True, goal=None, stretch=None),
    ]  # fmt: skip


def transcode_cases(contents: Contents, pixels: str) -> list[Case]:
    """One instance, alone in its answer, decoded on the way; `pixels` is the SHA-256 of what it decodes to."""

    def asked(target: Target, paths: Sequence[str]) -> list[str]:
        if target.name != "rival":
            return [target.root + path for path in paths]
        names = [contents.orthanc_id(path) for path in paths]
        return [f"/instances/{name}/file?transcode={EXPLICIT_VR_LITTLE_ENDIAN}" for name in names]

    def transcoded(target: Target) -> None:
        resources = contents.compressed_paths[:3]
        for path, resource in zip(asked(target, resources), resources, strict=True):
            answer = fetch(target.http_address, path, EXPLICIT_FILE)
            is_named = resource.rpartition("/")[2].encode() in answer.body
            if answer.status != 200 or not is_named or not _is_decoded(answer.body, pixels):
                raise WrongAnswer(f"{target.name} answered {answer.status} and not the image to decode")

    def case(name: str, paths: Sequence[str], connections: int, once: int, goal: float | None) -> Case:
        return Case(
            name=f"transcode {name}, JPEG 2000 to Explicit VR LE, {connections} at a time", paths=paths, once=once,
            asked=lambda target: asked(target, paths), check=transcoded, accept=EXPLICIT_FILE,
            connections=connections, goal=goal, stretch=None,
        )  # fmt: skip

    singles = contents.single_paths
    share = len(singles) // len(TRANSCODE_CONNECTIONS)
    return [
        *(
            case("an instance", singles[place * share : (place + 1) * share], connections, min(SINGLES, share), 1.5)
            for place, connections in enumerate(TRANSCODE_CONNECTIONS)
        ),
        case("an instance again", contents.compressed_paths[:AGAIN], 1, 0, None),
    ]


def run(servers: dict[str, Target], cases: Sequence[Case], *, rounds: int, seconds: float) -> list[Measure]:
    """Check, then measure each case; a server whose answer is wrong gets no number and a note instead."""
    measures = []
    for case in cases:
        item = Measure(name=case.name, unit="MB/s" if case.megabytes else "1/s", goal=case.goal, stretch=case.stretch)
        sound = []
        for name, target in servers.items():
            try:
                case.check(target)
                sound.append(name)
            except (WrongAnswer, OSError, json.JSONDecodeError) as error:
                item.note += f"{name}: {error}. "

        def sample(name: str, case: Case = case, item: Measure = item) -> float:
            target = servers[name]
            paths = case.paths_at(target)[len(item.samples.get(name, ())) * case.once :]
            try:
                result = load(
                    target.http_address, paths, case.accept, connections=case.connections,
                    seconds=0.0 if case.once else seconds, at_least=case.once or 1,
                )  # fmt: skip
            except RuntimeError as error:
                item.note += f"{name}: {error}. "
                return 0.0
            return result.mb_per_second if case.megabytes else result.per_second

        possible = min(rounds, len(case.paths) // case.once) if case.once else rounds
        measures.append(measure.interleave(item, sound, possible, sample))
    return measures


def fill_measure(rates: dict[str, list[float]]) -> list[Measure]:
    """Tiny objects/s by tenths of the filling."""
    item = Measure(name="C-STORE of tiny studies while filling, 4 associations", unit="objects/s", samples=rates)
    return [item] if any(rates.values()) else []


def _expect(target: Target, path: str, uids: set[str], tag: str = "0020000D") -> None:
    answered = [value(item, tag) for item in search(target, path)]
    if set(answered) != uids or len(answered) != len(uids):
        raise WrongAnswer(f"{target.name} answers {len(answered)} of {len(uids)} to {path}")


def _frame(target: Target, path: str) -> bytes:
    answer = fetch(target.http_address, target.root + path, OCTETS)
    if answer.status != 200:
        raise WrongAnswer(f"{target.name} answered {answer.status} to {path}")
    return parts(answer.headers["content-type"], answer.body)[0]


def _is_decoded(part10: bytes, pixels: str) -> bool:
    """Whether it is in Explicit VR Little Endian and has the pixels with this SHA-256."""
    named = data_set_syntax(part10) == EXPLICIT_VR_LITTLE_ENDIAN
    return named and hashlib.sha256(_pixels(bytearray(part10), 1)).hexdigest() == pixels


def _pixels(part10: bytearray, frames: int) -> bytes:
    """The pixel data: the last 512x512x16 bit frames of our templates."""
    at = part10.rfind(b"\xe0\x7f\x10\x00", 0, 20000)
    size = 512 * 512 * 2 * frames
    start = at + (12 if part10[at + 4 : at + 5].isalpha() else 8)
    return bytes(part10[start : start + size])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--studies", type=int, default=10000)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each sample")
    parser.add_argument("--rest-limit", type=float, default=1200.0, help="seconds to wait for background work to end")
    parser.add_argument("--implicit", action="store_true", help="the CT series in Implicit VR Little Endian")
    parser.add_argument("--only", nargs="+", default=[], help="words of the cases wanted")
    arguments = parser.parse_args()
    contents = Contents(studies=arguments.studies, slices=arguments.slices, frames=arguments.frames,
                        implicit=arguments.implicit,
                        singles=SINGLES * arguments.rounds * len(TRANSCODE_CONNECTIONS))  # fmt: skip
    cases = [*search_cases(contents), *series_cases(contents), *retrieve_cases(contents)]
    if arguments.only:
        cases = [case for case in cases if any(word in case.name for word in arguments.only)]
    with targets(arguments) as servers:
        rates = fill(servers, contents, rest_limit_s=arguments.rest_limit)
        print(measure.HEADER)
        measures = run(servers, cases, rounds=arguments.rounds, seconds=arguments.seconds)
    path = arguments.results / f"dicomweb-{arguments.studies}{variant(arguments)}.json"
    measure.save(path, fill_measure(rates) + measures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
