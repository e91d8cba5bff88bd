"""The known peers: the file's and the index's, looked at again while doors are open."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.archive import Archive
from bridge.config import load
from bridge.errors import ConfigError
from bridge.peers import Watch, assume, check, keep, known
from bridge.settings import CalledTitle, Peer, Settings
from storage.errors import StorageUnavailable
from storage.index.registry import PeerDefinition
from tests.bridge.archives import open_test_archive

CT = Peer(name="ct-1", ae_title="CT01")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file with one peer."""
    path = tmp_path / "bridge.toml"
    path.write_text("[[peers]]\nname = 'ct-1'\nae_title = 'CT01'\n")
    return path


@pytest.fixture
def archive(tmp_path: Path, file: Path) -> Iterator[Archive]:
    """An archive whose settings come from the file."""
    opened = open_test_archive(tmp_path, load(file, {}))
    # as the file has it, so that only what a test changes is a change
    opened.settings = replace(opened.settings, node=load(file, {}).node, storage=load(file, {}).storage)
    yield opened
    opened.close()


def edit(file: Path, text: str) -> None:
    """Write the file as an editor does: a new one in place of the old."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def test_an_edited_file_is_noticed(archive: Archive, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(archive)
    assert watch.roster.peers == (CT,)
    titles = "[[ae_titles]]\nae_title = 'NORTH'\nsite = 'north'\n"
    edit(file, "[[peers]]\nname = 'ct-1'\nae_title = 'CT02'\n[[peers]]\nname = 'mr-1'\nae_title = 'MR01'\n" + titles)
    with caplog.at_level(logging.INFO):
        watch.look()
        watch.look()
    assert watch.roster.peers == (replace(CT, ae_title="CT02"), Peer(name="mr-1", ae_title="MR01"))
    assert watch.roster.ae_titles == (CalledTitle(ae_title="NORTH", site="north"),)
    assert caplog.messages == ["the peers have changed: new mr-1; changed ct-1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[peers", "not valid TOML"),
        ("[[peers]]\nname = 'a'\n", "incomplete"),
        ("[[peers]]\nname = 'a'\nae_title = 'A'\naddresses = ['ct.hospital']\n", "IP address or network"),
        ("[[peers]]\nname = 'a'\nae_title = 'A'\n[[peers]]\nname = 'a'\nae_title = 'B'\n", "have the name 'a'"),
    ],
)
def test_a_broken_edit_changes_nothing_and_is_said_once(
    archive: Archive, file: Path, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    watch = Watch(archive)
    edit(file, text)
    watch.look()
    watch.look()
    assert watch.roster.peers == (CT,)
    assert len(caplog.messages) == 1
    assert why in caplog.messages[0]
    edit(file, "")
    watch.look()
    assert watch.roster.peers == ()


def test_a_file_that_is_just_being_replaced_changes_nothing(archive: Archive, file: Path) -> None:
    watch = Watch(archive)
    file.unlink()
    watch.look()
    assert watch.roster.peers == (CT,)


def test_another_setting_is_said_to_need_a_start(
    archive: Archive, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(archive)
    edit(file, "site = 'elsewhere'\n" + file.read_text())
    watch.look()
    assert "takes effect at the next start" in caplog.text
    assert watch.roster.peers == (CT,)


def test_a_peer_of_the_index_is_noticed_and_forgotten(archive: Archive) -> None:
    watch = Watch(archive)
    keep(archive, "mr-1", {"ae_title": "MR01", "associations": "4"}, at=archive.now())
    assert watch.roster.named("mr-1") is None
    watch.look()
    assert watch.roster.named("mr-1") == Peer(name="mr-1", ae_title="MR01", associations=4)
    assert watch.roster.titled(" MR01 ") == watch.roster.named("mr-1")
    archive.registry.remove_peer("mr-1")
    watch.look()
    assert watch.roster.peers == (CT,)


def test_the_files_entry_counts_and_its_name_cannot_be_taken(archive: Archive) -> None:
    with pytest.raises(ConfigError, match=r"'ct-1' is in .*bridge.toml; change it there"):
        keep(archive, "ct-1", {"ae_title": "OTHER"}, at=archive.now())
    archive.registry.put_peer(PeerDefinition(name="ct-1", definition='{"ae_title": "OTHER"}', changed_at=archive.now()))
    assert known(archive).peers == (CT,)


def test_a_row_that_means_nothing_here_is_left_out(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    row = PeerDefinition(name="new", definition='{"ae_title": "N", "colour": "red"}', changed_at=archive.now())
    archive.registry.put_peer(row)
    assert known(archive).peers == (CT,)
    assert "a peer is left out: unknown setting peer new.colour" in caplog.text


def test_an_index_that_is_away_changes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(archive, "mr-1", {"ae_title": "MR01"}, at=archive.now())
    watch = Watch(archive)

    def away() -> None:
        raise StorageUnavailable("the index is away")

    monkeypatch.setattr(archive.registry, "kept_peers", away)
    watch.look()
    assert watch.roster.named("mr-1")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ae_title": " "}, "1 to 16 ASCII characters"),
        ({"ae_title": "A" * 17}, "1 to 16 ASCII characters"),
        ({"ae_title": "A\\B"}, "no backslash"),
        ({"site": "North Wing"}, "has the site"),
        ({"addresses": ("10.0.0.0/33",)}, "IP address or network"),
        ({"services": ("echo", "print")}, "has the service 'print'"),
        ({"sop_classes": ("CT",)}, "where UIDs belong"),
        ({"transfer_syntaxes": ("1.2.840.10008.1.2.1", "JPEG")}, "where UIDs belong"),
        ({"timezone": "Mars/Olympus"}, "has the time zone"),
    ],
)
def test_a_peer_that_cannot_be_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check(replace(CT, **change))  # type: ignore[arg-type]  # one field each


def test_a_name_of_the_index_is_plain(archive: Archive) -> None:
    with pytest.raises(ConfigError, match="lower-case letters"):
        keep(archive, "CT 1", {"ae_title": "CT01"}, at=archive.now())


def test_without_a_file_there_is_only_the_index(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, Settings())
    keep(archive, "mr-1", {"ae_title": "MR01"}, at=archive.now())
    assert [peer.name for peer in Watch(archive).roster.peers] == ["mr-1"]
    archive.close()


PEER = replace(CT, issuer_of_patient_id="HOSPITAL", timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("said", "issuer", "offset"),
    [
        ({"PatientID": "1", "StudyDate": "20260115", "StudyTime": "101500"}, "HOSPITAL", "+0100"),
        ({"PatientID": "1", "StudyDate": "20260715"}, "HOSPITAL", "+0200"),
        ({"StudyDate": "2026"}, None, None),
        (
            {"PatientID": "1", "IssuerOfPatientID": "OWN", "StudyDate": "20260115", "TimezoneOffsetFromUTC": "+0800"},
            "OWN",
            "+0800",
        ),
    ],
)
def test_an_entry_fills_in_only_what_a_data_set_does_not_say(
    said: dict[str, str], issuer: str | None, offset: str | None
) -> None:
    assume(said, PEER)
    assert (said.get("IssuerOfPatientID"), said.get("TimezoneOffsetFromUTC")) == (issuer, offset)


def test_an_unknown_sender_fills_in_nothing() -> None:
    said = {"PatientID": "1", "StudyDate": "20260115"}
    assume(said, None)
    assert said == {"PatientID": "1", "StudyDate": "20260115"}
