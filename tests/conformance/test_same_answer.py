"""The same question has the same answer by C-FIND and by QIDO-RS, and it is the right one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bridge import identifiers
from tests.bridge.archives import receive
from tests.conformance.questions import LEVELS, REQUEST, Question, World, question, world
from tests.dicomweb.web import ROOT, Client
from tests.scp.asking import open_query, send_find
from tests.scp.running import RunningDoor, running_door
from tests.scp.wire import EXPLICIT, Peer

RELATIONAL_COMBINED_EMPTY = b"\1\1\0\0\0\1"
RESOURCES = {"STUDY": "/studies", "SERIES": "/series", "IMAGE": "/instances"}


class Both:
    """Two doors on one archive."""

    def __init__(self, door: RunningDoor, web: Client, peer: Peer) -> None:
        self.door, self._web, self._peer = door, web, peer

    def by_web(self, asked: Question) -> list[dict[str, Any]]:
        """QIDO-RS."""
        pairs = [f"{keyword}={quote(value)}" for keyword, value in asked.keys.items()]
        url = f"{ROOT}{RESOURCES[asked.level]}?{'&'.join(pairs)}&limit=5000&emptyvaluematching=true"
        response = self._web.get(url, headers={"accept": "application/dicom+json"})
        assert response.status_code == 200, (url, response.text)
        found: list[dict[str, Any]] = response.json()
        return found

    def by_dimse(self, asked: Question) -> list[dict[str, Any]]:
        """C-FIND, relational, dates and times combined, empty values matched."""
        send_find(self._peer, _identifier(asked), syntax=EXPLICIT)
        answers = []
        while (message := self._peer.message())[0][0x0900] in (b"\x00\xff", b"\x01\xff"):
            answers.append(identifiers.read(message[1], EXPLICIT))
        assert message[0][0x0900] == b"\0\0", (asked, message)
        return answers


def _identifier(asked: Question) -> bytes:
    document: dict[str, Any] = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080052": {"vr": "CS", "Value": [asked.level]},
        f"{LEVELS[asked.level][1][LEVELS[asked.level][0]][0]:08X}": {"vr": "UI"},
    }
    for keyword, value in asked.keys.items():
        tag, vr = LEVELS[asked.level][1][keyword]
        element = {"vr": vr, "Value": [value]} if value else {"vr": vr}
        if "." in keyword:
            document[f"{REQUEST:08X}"] = {"vr": "SQ", "Value": [{f"{tag:08X}": element}]}
        else:
            document[f"{tag:08X}"] = element
    return identifiers.write(document, explicit=True, charsets=["ISO_IR 192"])


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    from dicomweb.app import create_app
    from dicomweb.deps import open_door

    with running_door(tmp_path) as door, Peer(door.address) as peer:
        open_query(peer, syntax=EXPLICIT, options=RELATIONAL_COMBINED_EMPTY)
        behind = open_door(door.archive, door.archive.settings)
        client = Client(create_app(behind))
        yield Both(door, client, peer)
        client.close()
        behind.close()


def ask(both: Both, number: int, seed: int) -> None:
    """That many questions about one random archive."""
    dice = random.Random(seed)
    about: World = world(dice)
    for data in about.data_sets:
        receive(both.door.archive, data)
    for _ in range(number):
        asked = question(dice, about)
        unique, known = LEVELS[asked.level]
        key = f"{known[unique][0]:08X}"
        web, dimse = both.by_web(asked), both.by_dimse(asked)
        uids = [one[key]["Value"][0] for one in dimse]
        context = (seed, asked.level, asked.keys)
        assert uids == [one[key]["Value"][0] for one in web], context
        assert set(uids) == asked.answer(about), context
        tags = [f"{known[keyword][0] if '.' not in keyword else REQUEST:08X}" for keyword in asked.keys]
        for left, right in zip(dimse, web, strict=True):
            assert [left[tag] for tag in tags] == [right.get(tag, left[tag]) for tag in tags], context


@pytest.mark.parametrize("seed", range(4))
def test_a_random_question_has_one_answer_and_it_is_right(both: Both, seed: int) -> None:
    ask(both, 75, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
def test_ten_thousand_random_questions_have_one_answer_each(both: Both, seed: int) -> None:
    ask(both, 500, seed)
