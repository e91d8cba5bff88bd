"""STOW-RS throughput: real CT slices with fresh UIDs, all in one POST or one a POST, the servers in interleaved rounds.

`python -m bench.stow --start`. A round sends the same files to each server; bodies are in memory before the clock
starts (and the disk is quiet: dirty pages are written back first), and afterwards the count and the bytes of a sample
are read back over DICOMweb.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench import measure
from bench.answers import JSON, WrongAnswer
from bench.cstore import verify
from bench.measure import Measure
from bench.objects import Template, ct_series, ct_template, person, uid
from bench.servers import add_arguments, targets, variant
from bench.target import Target

BOUNDARY = "bench-boundary"
HEADERS = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', "Accept": JSON}
GOAL, STRETCH = 2.0, 3.0
TIMEOUT_S = 600.0

Message = list[bytes | bytearray]  # a body in pieces


def message(files: Iterable[bytes | bytearray]) -> Message:
    """One multipart body of many files."""
    pieces: Message = []
    for file in files:
        pieces += [f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), file, b"\r\n"]
    return [*pieces, f"--{BOUNDARY}--\r\n".encode()]


def post(target: Target, messages: Sequence[Message], connections: int) -> float:
    """POST each message, over `connections` that are kept alive; returns seconds. WrongAnswer unless all are 200."""

    def send(share: Sequence[Message]) -> None:
        connection = http.client.HTTPConnection(*target.http_address, timeout=TIMEOUT_S)
        for pieces in share:
            headers = HEADERS | {"Content-Length": str(sum(map(len, pieces)))}
            connection.request("POST", f"{target.root}/studies", body=iter(pieces), headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise WrongAnswer(f"{target.name} answered {response.status} to a store request")
        connection.close()

    with ThreadPoolExecutor(connections) as pool:
        begin = time.perf_counter()
        list(pool.map(send, [messages[number::connections] for number in range(connections)]))
        return time.perf_counter() - begin


def run(
    servers: dict[str, Target], *, connections: Sequence[int], objects: int, rounds: int, template: Template, seed: int
) -> list[Measure]:
    """`objects` a round and way of sending; WrongAnswer when a server did not keep what it acknowledged."""
    chooser = random.Random(seed)
    ways = {0: f"STOW, one POST of {objects}"} | {
        count: f"STOW, {objects} POSTs of one, {count} connections" for count in connections
    }
    measures = {count: Measure(name=name, unit="objects/s", goal=GOAL, stretch=STRETCH) for count, name in ways.items()}
    for turn in range(rounds):
        for count, item in measures.items():
            who = person(chooser.randrange(10**8), 10**8)
            series, first = uid(chooser.randrange(10**37)), chooser.randrange(10**37)
            files = list(ct_series(who, objects, series, first, template))
            messages = [message([file]) for file in files] if count else [message(files)]
            os.sync()
            for name in sorted(servers, reverse=turn % 2 == 1):
                item.add(name, objects / post(servers[name], messages, max(1, count)))
            sample = {uid(first + number): files[number] for number in chooser.sample(range(objects), min(3, objects))}
            for target in servers.values():
                verify(target, who, series, objects, sample, implicit=template.implicit)
    for item in measures.values():
        print(measure.line(item), flush=True)
    return list(measures.values())


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4], help="of POSTs of one instance")
    parser.add_argument("--objects", type=int, default=500, help="a round")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(measure.HEADER)
    with targets(arguments) as servers:
        measures = run(
            servers, connections=arguments.connections, objects=arguments.objects, rounds=arguments.rounds,
            template=ct_template(), seed=seed,
        )  # fmt: skip
    measure.save(arguments.results / f"stow{variant(arguments)}.json", measures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
