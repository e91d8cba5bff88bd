"""The inner loop of a scan: the elements that make up nearly all of a header, each in a few steps."""

from __future__ import annotations

from bridge.header_syntax import REMEMBERED_BYTES
from bridge.runs import PATIENCE, Runs
from bridge.scan.levels import Level
from bridge.scan.window import Window


def plain_elements(window: Window, level: Level, limit: int, runs: Runs | None, *, is_cut: bool) -> None:
    """Write elements as long as tag, VR and a value of up to `limit` bytes inside the window are all it takes.

    `runs` of this level's elements are taken at once; with `is_cut` nothing is written, only the raw values are kept.
    """
    content, entries = window.content, level.syntax.entries
    learn, remember = level.syntax.learn, level.syntax.remember
    unpack_header, unpack_length = level.syntax.unpack_header, level.syntax.unpack_length
    text, watch, raws, last = level.text, level.watch, level.raws, level.last
    out = level.out
    append = _drop if is_cut else out.append
    patience = PATIENCE if runs else 0
    end = min(level.end - window.base, len(content))
    stop = min(end - 8, len(content) - 12)
    at = window.position - window.base
    streak, streak_out = at, len(out)  # where elements that are known by their values began
    long_start = 12 if level.syntax.explicit else 8
    while at <= stop:
        if patience and runs:
            run = runs.at(content, at)
            if run is not None and run.first > last and at + len(run.content) <= end:
                out += run.pieces
                raws.update(run.raws)
                at, last, patience = at + len(run.content), run.last, PATIENCE
                streak, streak_out = at, len(out)
                continue
            patience -= 1
        head, length = unpack_header(content, at)
        entry = entries.get(head) or learn(head)
        tag, long, prefix, empty, write, _, seen = entry
        if write is None:
            break
        start = at + 8
        if long:
            length = unpack_length(content, start)[0]
            start = at + long_start
        after = start + length
        if after > end or length > limit:
            break
        if length:
            value = content[start:after]
            piece = seen.get(value)
            if piece is None:
                written = write(value, text)
                if written is None:
                    break
                piece = prefix + written
                if length <= REMEMBERED_BYTES:
                    remember(entry, value, piece)
                if runs:
                    runs.note(content[streak:at], out[streak_out:], raws, last)
                    streak, streak_out, patience = after, len(out) + 1, PATIENCE
            append(piece)
            if tag in watch:
                raws[tag] = value
        else:
            append(empty)
            if tag in watch:
                raws.pop(tag, None)
        if tag <= last:
            level.ordered, runs = False, None
        last = tag
        at = after
    if runs:
        runs.note(content[streak:at], out[streak_out:], raws, last)
    level.last = last
    window.position = window.base + at


def _drop(piece: bytes) -> None:
    """Takes the place of `append` once the metadata limit is reached."""
