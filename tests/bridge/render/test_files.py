"""Pictures on the disk: kept, bounded, never needed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bridge.render.files import PictureFiles


def files(directory: Path, *, limit_bytes: int = 1 << 20, keep_s: float = 1000.0) -> PictureFiles:
    return PictureFiles(directory, limit_bytes=limit_bytes, keep_s=keep_s)


def stored(directory: Path) -> list[Path]:
    return sorted(directory.glob("??/*"))


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_picture_that_was_kept_comes_back_also_to_another_process(tmp_path: Path) -> None:
    files(tmp_path).put("one", b"picture")
    assert files(tmp_path).get("one") == b"picture"
    assert files(tmp_path).get("two") is None


def test_a_damaged_picture_is_none(tmp_path: Path) -> None:
    kept = files(tmp_path)
    kept.put("one", b"picture")
    stored(tmp_path)[0].write_bytes(b"")
    assert kept.get("one") is None


def test_names_tell_nothing_of_the_key(tmp_path: Path) -> None:
    files(tmp_path).put("1.2.840.10008", b"picture")
    assert "1.2.840" not in str(stored(tmp_path)[0])


def test_nobody_else_on_the_machine_may_look_at_a_picture(tmp_path: Path) -> None:
    files(tmp_path).put("one", b"picture")
    assert stored(tmp_path)[0].stat().st_mode & 0o777 == 0o600


def test_the_least_recently_used_go_when_the_limit_is_passed(tmp_path: Path) -> None:
    kept = files(tmp_path, limit_bytes=250)
    for number in range(3):
        kept.put(str(number), bytes(100))
        for path in stored(tmp_path):
            age(path, time.time() - path.stat().st_mtime + 10)
    kept.sweep()
    assert kept.get("0") is None
    assert kept.get("2") == bytes(100)


def test_what_nobody_asked_for_goes(tmp_path: Path) -> None:
    kept = files(tmp_path, keep_s=100)
    kept.put("old", b"1")
    age(stored(tmp_path)[0], 200)
    kept.put("new", b"2")
    kept.sweep()
    assert kept.get("old") is None
    assert kept.get("new") == b"2"


def test_a_picture_that_is_asked_for_counts_as_used(tmp_path: Path) -> None:
    kept = files(tmp_path, keep_s=7200)
    kept.put("one", b"1")
    age(stored(tmp_path)[0], 4000)
    assert kept.get("one") == b"1"
    assert time.time() - stored(tmp_path)[0].stat().st_mtime < 100


def test_nothing_is_kept_when_the_limit_is_zero(tmp_path: Path) -> None:
    kept = files(tmp_path, limit_bytes=0)
    kept.put("one", b"1")
    assert stored(tmp_path) == []


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = files(tmp_path / "file")
    kept.put("one", b"1")
    assert kept.get("one") is None
