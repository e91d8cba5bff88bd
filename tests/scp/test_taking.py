"""What a peer sends by C-GET that was not asked for, or cannot be kept: refused by itself (PS3.4 §C.4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage

from bridge.archive import Archive
from bridge.pulling.remote import Unreachable
from bridge.settings import Dimse, Peer, Settings
from scp.command import NO_DATA_SET, Command, CommandField, Element
from scp.proposal import Accepted
from scp.taking import Taker, Taking
from tests.bridge.archives import SERIES, STUDY, data_set, open_test_archive
from tests.bridge.pulling.heard import Heard
from tests.scp.wire import EXPLICIT

UID = f"{SERIES}.1"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    ours = open_test_archive(tmp_path, Settings(dimse=Dimse(object_limit_bytes=2000)))
    yield ours
    ours.close()


def begun(archive: Archive, heard: Heard, *, sop_class: str = CTImageStorage, uid: str = UID) -> Taking:
    """A C-STORE of this class and instance, on a context for CT images."""
    elements = {
        Element.AFFECTED_SOP_CLASS_UID: sop_class.encode(),
        Element.AFFECTED_SOP_INSTANCE_UID: uid.encode(),
        Element.DATA_SET_TYPE: NO_DATA_SET.to_bytes(2, "little"),
    }
    command = Command({int(key): value for key, value in elements.items()}, CommandField.C_STORE, 1)
    taker = Taker(archive, Peer(name="old", ae_title="OLD"), "127.0.0.1", "default", STUDY, heard)
    return taker(command, Accepted(1, CTImageStorage, EXPLICIT, True))


def sent(taking: Taking, data: bytes) -> int:
    """The status after these bytes."""
    for start in range(0, len(data), 100):
        taking.write(memoryview(data)[start : start + 100])
    return taking.complete().code


def test_what_was_asked_for_is_kept(archive: Archive) -> None:
    heard = Heard()
    assert sent(begun(archive, heard), data_set(1)) == 0x0000
    assert (heard.here, archive.index.tally().instances) == (1, 1)


@pytest.mark.parametrize(
    ("data", "changes", "status", "why"),
    [
        (data_set(1, study="1.2.3"), {}, 0xA900, "another study"),
        (data_set(2), {}, 0xA900, "SOP Instance UID of command and data set differ"),
        (data_set(1), {"sop_class": MRImageStorage}, 0xA900, "not that of the presentation context"),
        (data_set(1, PixelData=bytes(4000)), {}, 0xA700, "larger than dimse.object_limit_bytes"),
        (b"\x08\x00\x16\x00UI", {}, 0xC000, ""),
        (b"", {}, 0xC000, ""),
    ],
)
def test_what_cannot_be_kept_is_answered_and_named(
    archive: Archive, data: bytes, changes: dict[str, str], status: int, why: str
) -> None:
    heard = Heard()
    assert sent(begun(archive, heard, **changes), data) == status
    assert why in heard.reasons[UID]
    assert (heard.here, archive.index.tally().instances) == (0, 0)


def test_an_object_that_breaks_off_leaves_nothing(archive: Archive) -> None:
    taking = begun(archive, Heard())
    taking.write(memoryview(data_set(1))[:300])
    taking.abandon()
    assert list(archive.spool_directory.iterdir()) == []


def test_a_full_disk_of_ours_ends_the_association(archive: Archive) -> None:
    storage = replace(archive.settings.storage, free_space_reserve_bytes=1 << 60)
    archive.settings = replace(archive.settings, storage=storage)
    with pytest.raises(Unreachable, match="our own archive cannot take it"):
        begun(archive, Heard())
