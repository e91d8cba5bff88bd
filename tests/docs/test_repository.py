"""What every tracked file must be: free of machine paths and of hosts to install from; its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# In pieces, so that this file passes its own check.
SOMEBODYS_FOLDERS = r"(?<![.\w])/(?:work|farm|root|home/\w+)/"
OPTIONS = "|".join(("--index-" + "url", "--extra-" + "index", "--registry" + "[= ]", "GOPROXY" + "="))
HOSTS = "|".join((r"pypi" + r"\.org", r"pythonhosted" + r"\.org", "registry" + r"\.npmjs", "proxy" + r"\.golang"))
MACHINE = re.compile(f"{SOMEBODYS_FOLDERS}|{OPTIONS}|{HOSTS}")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def tracked(pattern: str = "") -> list[Path]:
    """The files that git knows, those that match `pattern`."""
    command = ["git", "ls-files", "-z", "--", *([pattern] if pattern else [])]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return [REPOSITORY / name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        found += [f"{path.relative_to(REPOSITORY)}:{n}" for n, line in enumerate(lines, 1) if MACHINE.search(line)]
    assert found == []


@pytest.mark.parametrize(
    "line", ["cd /" + "work/main", "pip --index-" + "url x", "open('/" + "home/ann/x')", "https://pypi" + ".org/simple"]
)
def test_the_check_for_machines_can_fail(line: str) -> None:
    assert MACHINE.search(line)


def test_every_relative_link_leads_to_a_file() -> None:
    pages = tracked("*.md")
    assert pages
    broken = [
        f"{page.relative_to(REPOSITORY)}: {link}"
        for page in pages
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []
