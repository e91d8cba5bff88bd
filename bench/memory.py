"""Memory of all processes of a server: idle, while a huge object comes in by C-STORE and by STOW, while it goes out.

`python -m bench.memory --start`. PSS shares a page among the processes that map it; the peak is sampled over the whole
tree. Only servers started here can be looked into.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import measure
from bench.answers import DICOM, WrongAnswer
from bench.client import fetch
from bench.measure import Measure
from bench.objects import Template, ct_series, ct_template, multiframe_template, person, uid
from bench.senders import push, write_files
from bench.servers import add_arguments, targets, variant
from bench.stow import Message, message, post
from bench.target import CACHE, Target, process_tree, rest

FRAME_BYTES = 512 * 512 * 2
SAMPLE_S = 0.02
GROWTH_GOAL_MB = {"local": 100.0, "s3": 200.0}


def pss_mb(pid: int) -> float:
    """Proportional set size of a process tree in MB (10**6 bytes)."""
    total = 0
    for member in process_tree(pid):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        if found := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE):
            total += int(found.group(1)) * 1024
    return total / 1e6


def peak_mb(pid: int, work: Callable[[], None]) -> float:
    """The highest PSS of the tree while `work` runs in this thread."""
    peak, done = [pss_mb(pid)], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_S):
            peak.append(pss_mb(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(peak)


def run(servers: dict[str, Target], *, megabytes: int, rounds: int, store: str) -> list[Measure]:
    """Push and pull one object of `megabytes` a round."""
    growth = GROWTH_GOAL_MB[store]
    names = {
        "idle": Measure(name="idle memory of all processes (PSS)", unit="MB", goal=450, stretch=300),
        "in": Measure(name=f"{megabytes} MB object pushed: memory above idle", unit="MB", goal=growth, stretch=50),
        "stow": Measure(name=f"{megabytes} MB object by STOW: memory above idle", unit="MB", goal=growth, stretch=50),
        "out": Measure(name=f"{megabytes} MB object pulled: memory above idle", unit="MB", goal=growth, stretch=50),
        "first": Measure(name=f"{megabytes} MB object pulled: first byte", unit="ms", goal=100),
        "push": Measure(name=f"{megabytes} MB object pushed", unit="s"),
        "pull": Measure(name=f"{megabytes} MB object pulled", unit="s"),
    }
    for key, item in names.items():
        item.higher_is_better, item.absolute = False, key not in ("push", "pull")
    template = multiframe_template(megabytes * 10**6 // FRAME_BYTES)
    for name, target in servers.items():
        if target.pid is None:
            raise SystemExit(f"{target.name} was not started here; its memory cannot be seen")
        _warm_up(target)
        for turn in range(rounds):
            rest({name: target}, quiet_s=2.0, stable_age_s=0.0)
            _round(target, names, template, turn)
    for item in names.values():
        print(measure.line(item), flush=True)
    return list(names.values())


def _round(target: Target, names: dict[str, Measure], template: Template, turn: int) -> None:
    who, series, instance = person(3 * 10**7 + turn, 10**8), uid(8 * 10**36 + turn), uid(9 * 10**36 + turn)
    content = template.fill(who, series=series, instance=instance)
    path = f"{target.root}/studies/{who.study_uid}/series/{series}/instances/{instance}"
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        folders = write_files(Path(folder), [content], 1)
        os.sync()
        pid = target.pid or 0
        idle = pss_mb(pid)
        names["idle"].add(target.name, idle)
        begin = time.perf_counter()
        names["in"].add(target.name, peak_mb(pid, lambda: _push(target, folders)) - idle)
        names["push"].add(target.name, time.perf_counter() - begin)
    _store_by_web(target, names["stow"], template, turn)
    rest({target.name: target}, quiet_s=2.0, stable_age_s=0.0)
    idle = pss_mb(pid)

    def pull() -> None:
        answer = fetch(target.http_address, path, DICOM, keep=False)
        if answer.status != 200 or int(answer.headers["x-size"]) < len(content) - 1000:
            raise WrongAnswer(f"{target.name} answered {answer.status}, {answer.headers['x-size']} bytes")
        names["first"].add(target.name, answer.first_byte_s * 1000)
        names["pull"].add(target.name, answer.elapsed_s)

    names["out"].add(target.name, peak_mb(pid, pull) - idle)


def _store_by_web(target: Target, item: Measure, template: Template, turn: int) -> None:
    """Another such object, in one POST."""
    who, series, instance = person(6 * 10**7 + turn, 10**8), uid(6 * 10**36 + turn), uid(7 * 10**36 + turn)
    body = message([template.fill(who, series=series, instance=instance)])
    rest({target.name: target}, quiet_s=2.0, stable_age_s=0.0)
    idle = pss_mb(target.pid or 0)
    item.add(target.name, peak_mb(target.pid or 0, lambda: _post(target, body)) - idle)


def _post(target: Target, body: Message) -> None:
    post(target, [body], 1)


def _push(target: Target, folders: Sequence[Path]) -> None:
    push(target, folders)


def _warm_up(target: Target) -> None:
    """A few objects in and out, so that idle means a server that has worked."""
    who = person(4 * 10**7, 10**8)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        files = list(ct_series(who, 16, uid(8 * 10**35), 9 * 10**35, ct_template()))
        push(target, write_files(Path(folder), files, 4))
    for path in ("/studies?limit=10", f"/studies/{who.study_uid}/series/{uid(8 * 10**35)}/metadata"):
        for _ in range(8):
            fetch(target.http_address, target.root + path, "application/dicom+json")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--megabytes", type=int, default=608)
    arguments = parser.parse_args()
    print(measure.HEADER)
    with targets(arguments) as servers:
        measures = run(servers, megabytes=arguments.megabytes, rounds=arguments.rounds, store=arguments.store)
    measure.save(arguments.results / f"memory{variant(arguments)}.json", measures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
