"""C-STORE throughput: real CT slices with fresh UIDs over 1, 4 and 8 associations, the servers in interleaved rounds.

`python -m bench.cstore --start`. A round sends the same files to each server; files are on disk before the clock
starts (and the disk is quiet: dirty pages are written back first), and afterwards the count and the bytes of a sample
are read back over DICOMweb.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence

from bench import answers, measure
from bench.answers import WrongAnswer, instances_at, search
from bench.measure import Measure
from bench.objects import Person, Template, ct_series, ct_template, person, uid
from bench.senders import push, write_files
from bench.servers import add_arguments, targets, variant
from bench.target import Target, scratch

GOALS = {1: 1.8, 4: 1.8, 8: 1.7}  # associations -> times the rival


def run(
    servers: dict[str, Target], *, associations: Sequence[int], objects: int, rounds: int, template: Template, seed: int
) -> list[Measure]:
    """`objects` a round and association count; WrongAnswer when a server did not keep what it acknowledged."""
    chooser = random.Random(seed)
    measures = {
        count: Measure(name=f"C-STORE, {count} associations", unit="objects/s", goal=GOALS.get(count), stretch=2.5)
        for count in associations
    }
    for turn in range(rounds):
        for count in associations:
            who = person(chooser.randrange(10**8), 10**8)
            series, first = uid(chooser.randrange(10**37)), chooser.randrange(10**37)
            with scratch() as folder:
                folders = write_files(folder, ct_series(who, objects, series, first, template), count)
                os.sync()
                for name in sorted(servers, reverse=turn % 2 == 1):
                    measures[count].add(name, objects / push(servers[name], folders))
                sample = {
                    uid(first + number): template.fill(
                        who, series=series, instance=uid(first + number), number=number + 1
                    )
                    for number in chooser.sample(range(objects), min(3, objects))
                }
                for target in servers.values():
                    verify(target, who, series, objects, sample, implicit=template.implicit)
    for item in measures.values():
        print(measure.line(item), flush=True)
    return list(measures.values())


def verify(
    target: Target, who: Person, series: str, count: int, sample: dict[str, bytearray], *, implicit: bool
) -> None:
    """All instances found by a search, and the sample's data sets byte for byte; of implicit ones the image.

    Ours sends Implicit VR Little Endian as Explicit VR Little Endian (docs/dicomweb.md).
    """
    digest = answers.image_digest if implicit else answers.digest
    path = f"/studies/{who.study_uid}/series/{series}/instances"
    found = len(search(target, f"{path}?limit={count + 1}"))
    if found != count:
        raise WrongAnswer(f"{target.name} has {found} of {count} instances")
    for instance, content in sample.items():
        if [digest(part) for part in instances_at(target, f"{path}/{instance}")] != [digest(content)]:
            raise WrongAnswer(f"{target.name} returns other bytes than it was sent")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--objects", type=int, default=240, help="a round")
    parser.add_argument("--implicit", action="store_true", help="send Implicit VR Little Endian")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(measure.HEADER)
    with targets(arguments) as servers:
        measures = run(
            servers, associations=arguments.associations, objects=arguments.objects, rounds=arguments.rounds,
            template=ct_template(implicit=arguments.implicit), seed=seed,
        )  # fmt: skip
    measure.save(arguments.results / f"cstore{variant(arguments)}.json", measures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
