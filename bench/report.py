"""All saved results as the table of speed goals: `python -m bench.report`; exit code 1 when a goal is not met."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import measure
from bench.target import CACHE


def table(folder: Path) -> tuple[str, int]:
    """Markdown, one section a result file, and how many goals are missed."""
    lines, missed = [], 0
    for path in sorted(folder.glob("*.json")):
        measures = measure.read(path)
        missed += sum(item.verdict(item.goal) is False for item in measures)
        lines += [f"\n{path.stem}\n", measure.HEADER, *map(measure.line, measures)]
    return "\n".join(lines), missed


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=CACHE / "results")
    text, missed = table(parser.parse_args().results)
    print(text or "no results yet: run python -m bench")
    if missed:
        print(f"\n{missed} goals missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
