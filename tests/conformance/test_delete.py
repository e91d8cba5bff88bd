"""DELETE by the convention of 1.6, requirement by requirement, through the HTTP door."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge import decisions
from bridge.access import add_key
from bridge.archive import HOT
from storage.records import InstanceRecord, ResourceRef, Retention
from tests.bridge.archives import moody
from tests.dicomweb.web import CT, MR_SERIES, OTHER_STUDY, ROOT, SERIES, STUDY, Web, ct, fill, open_web, uids

INSTANCE = f"{CT}/instances/{SERIES}.1"
PASSED = datetime(2020, 1, 1, tzinfo=UTC)


def term_until(until: datetime | None) -> Retention:
    return Retention(retention_class="x", policy="x@1", start=PASSED, until=until)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Two studies whose terms have passed."""
    monkeypatch.setattr("bridge.ingest.term", lambda *_: term_until(PASSED))
    with open_web(tmp_path) as opened:
        fill(opened)
        yield opened


def remove(web: Web, path: str, **headers: str) -> Any:
    return web.client.request("DELETE", ROOT + path, headers=headers)


@pytest.mark.parametrize("path", [f"/studies/{STUDY}", CT, INSTANCE], ids=["study", "series", "instance"])
def test_1_6_delete_is_204_then_410_and_what_was_below_is_410_too(web: Web, path: str) -> None:
    response = remove(web, path)
    assert (response.status_code, response.content) == (204, b"")
    assert remove(web, path).status_code == 410
    assert web.get(path).status_code == 410
    assert web.get(INSTANCE).status_code == 410
    assert web.get(f"{INSTANCE}/frames/1").status_code == 410
    assert web.get(f"/studies/{OTHER_STUDY}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/studies/1.2..3", "/studies/abc", f"/studies/{STUDY}/series/x", f"{CT}/instances/1-"]
)
def test_1_6_delete_of_a_bad_uid_is_400(web: Web, path: str) -> None:
    assert remove(web, path).status_code == 400


@pytest.mark.parametrize(
    "path", ["/studies/1.2.3", f"/studies/{STUDY}/series/1.2", f"/studies/{OTHER_STUDY}/series/{SERIES}"]
)
def test_1_6_delete_of_what_never_was_is_404_also_under_another_parent(web: Web, path: str) -> None:
    assert remove(web, path).status_code == 404
    assert len(web.json("/instances")) == 5


def test_1_6_parents_vanish_when_emptied(web: Web) -> None:
    for number in (1, 2, 3):
        assert remove(web, f"{CT}/instances/{SERIES}.{number}").status_code == 204
    assert web.get(CT).status_code == 410
    assert uids(web.json(f"/studies/{STUDY}/series"), "0020000E") == [MR_SERIES]
    assert remove(web, f"/studies/{STUDY}/series/{MR_SERIES}").status_code == 204
    assert web.get(f"/studies/{STUDY}").status_code == 410
    assert uids(web.json("/studies"), "0020000D") == [OTHER_STUDY]


def test_1_6_counters_and_entity_tags_change_at_once(web: Web) -> None:
    before = {path: web.get(f"{path}/metadata").headers["etag"] for path in (f"/studies/{STUDY}", CT)}
    assert web.json("/studies?PatientID=P1")[0]["00201208"]["Value"] == [4]
    remove(web, INSTANCE)
    (study,) = web.json("/studies?PatientID=P1")
    assert (study["00201208"]["Value"], study["00201206"]["Value"]) == ([3], [2])
    assert web.json(f"/studies/{STUDY}/series")[0]["00201209"]["Value"] == [2]
    for path, tag in before.items():
        assert web.get(f"{path}/metadata", if_none_match=tag).status_code == 200
    remove(web, CT)
    assert web.json("/studies?PatientID=P1")[0]["00080061"]["Value"] == ["MR"]


def test_1_6_what_was_deleted_may_be_stored_again(web: Web) -> None:
    remove(web, INSTANCE)
    web.add(ct(1))
    assert web.get(INSTANCE).status_code == 200


def test_1_6_a_running_term_forbids_and_says_until_when(tmp_path: Path) -> None:
    with open_web(tmp_path) as held:
        held.add(ct(1))
        response = remove(held, f"/studies/{STUDY}")
        assert response.status_code == 409
        assert datetime.fromisoformat(response.json()["until"]).year > 2030
        assert "forbids removal until" in response.json()["detail"]
        assert held.get(INSTANCE).status_code == 200
        assert list(moody(held.archive).list(f"{decisions.PREFIX}/")) == []


def test_1_6_a_term_without_end_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.ingest.term", lambda *_: term_until(None))
    with open_web(tmp_path) as held:
        held.add(ct(1))
        response = remove(held, f"/studies/{STUDY}")
        assert (response.status_code, "until" in response.json()) == (409, False)
        assert "further notice" in response.json()["detail"]


def test_1_6_an_administrator_may_override_a_term_and_the_trail_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_web(tmp_path) as held:
        held.add(ct(1))
        with caplog.at_level(logging.INFO, "audit"):
            assert remove(held, f"{INSTANCE}?override-retention=perhaps").status_code == 400
            assert remove(held, f"{INSTANCE}?override-retention=true").status_code == 204
        actions = [orjson.loads(line.getMessage())["action"] for line in caplog.records]
        assert actions == ["delete", "override retention", "delete"]


def test_1_6_a_legal_hold_forbids_whoever_asks(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    instances = web.archive.index.instances

    def on_hold(ref: ResourceRef, **paging: Any) -> list[InstanceRecord]:
        return [replace(record, legal_hold=True) for record in instances(ref, **paging)]

    monkeypatch.setattr(type(web.archive.index), "instances", lambda _self, ref, **paging: on_hold(ref, **paging))
    response = remove(web, f"{INSTANCE}?override-retention=true")
    assert (response.status_code, response.json()["detail"]) == (409, "a legal hold forbids removal")


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 403), ("admin", 204)])
def test_1_6_delete_needs_the_admin_scope_and_refusals_are_in_the_trail(
    web: Web, caplog: pytest.LogCaptureFixture, scope: str, status: int
) -> None:
    secret = add_key(web.archive, scope, site="default", scopes=(scope,), at=PASSED)
    with caplog.at_level(logging.INFO, "audit"):
        assert remove(web, INSTANCE, authorization=f"Bearer {secret}").status_code == status
    (line,) = [orjson.loads(record.getMessage()) for record in caplog.records]
    assert (line["action"], line["who"]) == ("delete", scope)
    assert line["outcome"] == ("success" if status == 204 else "Forbidden")


def test_1_6_what_comes_in_while_terms_are_checked_stays(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    write = decisions.write

    def late(archive: Any, decision: decisions.Decision) -> None:
        write(archive, decision)
        web.add(ct(4))

    monkeypatch.setattr(decisions, "write", late)
    assert remove(web, CT).status_code == 204
    assert uids(web.json(f"{CT}/instances")) == [f"{SERIES}.4"]


def test_1_6_another_site_is_neither_seen_nor_deleted(web: Web) -> None:
    secret = add_key(web.archive, "else", site="elsewhere", scopes=("admin",), at=PASSED)
    assert remove(web, INSTANCE, authorization=f"Bearer {secret}").status_code == 404


def test_1_6_delete_can_be_switched_off(tmp_path: Path) -> None:
    with open_web(tmp_path, delete=False) as safe:
        safe.add(ct(1))
        response = remove(safe, INSTANCE)
        assert response.status_code == 405
        assert "DELETE" not in response.headers["allow"]


def test_1_6_the_decision_is_written_before_the_rows_go(web: Web) -> None:
    moody(web.archive).mood = "away"
    assert remove(web, INSTANCE).status_code == 503
    assert web.json(f"{CT}/instances?SOPInstanceUID={SERIES}.1") != []
    moody(web.archive).mood = "well"
    assert remove(web, INSTANCE).status_code == 204
    (decision,) = decisions.read_all(iter([web.archive.stores[HOT]]))
    assert (decision.kind, decision.ref.sop_instance_uid) == ("delete", f"{SERIES}.1")
