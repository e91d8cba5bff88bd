"""STOW-RS, requirement by requirement; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from bridge.archive import Archive
from bridge.settings import Ingest, Settings
from storage.errors import StorageUnavailable
from storage.records import ResourceRef
from tests.bridge.archives import moody
from tests.dicomweb.storing import (
    DICOM,
    FAILED,
    OTHER,
    REFERENCED,
    RELATED,
    file,
    items,
    message,
    post,
    spooled,
    store,
    values,
)
from tests.dicomweb.web import CT, OTHER_SERIES, OTHER_STUDY, ROOT, SERIES, STUDY, Web, ct, open_web, parts, serving

BASE = f"http://pacs.test:8042{ROOT}"
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as opened:
        yield opened


def record_of(archive: Archive, number: int = 1):
    found = archive.index.instance(ResourceRef("default", STUDY, SERIES, f"{SERIES}.{number}"))
    assert found is not None
    return found


# ---- T1 to T3: what may be sent ----


def test_t1_10_5_one_instance_a_part_is_stored(web: Web) -> None:
    response = store(web, *(file(web, ct(number)) for number in (1, 2, 3)))
    assert response.status_code == 200
    assert values(response.json(), REFERENCED, "00081155") == [f"{SERIES}.{number}" for number in (1, 2, 3)]
    assert len(web.json(f"{CT}/instances")) == 3


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n",
        'content-type: Application/DICOM; transfer-syntax="1.2.840.10008.1.2.1"\r\n',
        "Content-Type: application/dicom\r\nContent-Length: 4\r\nContent-Location: /x\r\nMIME-Version: 1.0\r\n",
        "Content-Type: application/octet-stream\r\n",
        "",
    ],
    ids=["transfer syntax", "quoted", "more headers", "octets", "none"],
)
def test_t1_8_7_3_a_part_says_what_it_is_in_the_words_of_real_clients(web: Web, header: str) -> None:
    assert post(web, message([(header, file(web, ct(1)))])).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        f"multipart/related; type=application/dicom; boundary={RELATED.rpartition('=')[2]}",
        f'Multipart/Related; boundary="{RELATED.rpartition("=")[2]}"; TYPE="application/dicom"',
        f"multipart/related; boundary={RELATED.rpartition('=')[2]}",
        RELATED + "; transfer-syntax=1.2.840.10008.1.2.1",
    ],
    ids=["unquoted", "quoted boundary", "without a type", "with a transfer syntax"],
)
def test_t1_8_7_1_the_message_says_its_type_with_and_without_quotes(web: Web, kind: str) -> None:
    assert post(web, message([file(web, ct(1))]), kind=kind).status_code == 200


def test_t2_8_6_1_1_a_single_file_may_be_the_whole_body(web: Web) -> None:
    response = post(web, file(web, ct(1)), kind=DICOM)
    assert response.status_code == 200
    assert values(response.json(), REFERENCED, "00081155") == [f"{SERIES}.1"]


# ---- T4: the status ----


def test_t4_10_5_3_some_that_failed_make_202(web: Web) -> None:
    response = store(web, file(web, ct(1)), b"no DICOM file")
    assert response.status_code == 202
    assert len(items(response.json(), REFERENCED)) == 1
    assert values(response.json(), OTHER, "00081197") == [0xC000]


def test_t4_10_5_3_a_warning_makes_202(web: Web) -> None:
    web.add(ct(1))
    response = store(web, file(web, ct(1, PatientID="P9")))
    assert response.status_code == 202
    assert values(response.json(), REFERENCED, "00081196") == [0xB000]
    assert items(response.json(), FAILED) == []


def test_t4_10_5_3_nothing_stored_for_mixed_reasons_is_409(web: Web) -> None:
    foreign = file(web, ct(1, study=OTHER_STUDY, series=OTHER_SERIES))
    response = store(web, foreign, b"no DICOM file", path=f"/studies/{STUDY}")
    assert response.status_code == 409
    assert values(response.json(), FAILED, "00081197") == [0xA900]
    assert values(response.json(), OTHER, "00081197") == [0xC000]


def test_t4_10_5_3_nothing_stored_because_nothing_could_be_read_is_400(web: Web) -> None:
    response = store(web, b"no DICOM file", b"")
    assert response.status_code == 400
    assert values(response.json(), OTHER, "00081197") == [0xC000, 0xC000]


@pytest.mark.parametrize(
    "body",
    [b"", b"no multipart message", message([]), b"--a-boundary\r\nno header\r\n\r\n", message([b""], closing=False)],
)
def test_t4_10_5_3_what_is_no_message_is_400(web: Web, body: bytes) -> None:
    response = post(web, body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["multipart/related; type=application/dicom", RELATED + "; boundary=second"])
def test_t4_10_5_3_a_message_without_one_boundary_is_400(web: Web, kind: str) -> None:
    assert post(web, message([file(web, ct(1))]), kind=kind).status_code == 400


@pytest.mark.parametrize(
    "kind",
    [
        "image/png",
        "multipart/form-data; boundary=x",
        'multipart/related; type="text/plain"; boundary=x',
        "nonsense",
        "",
    ],
)
def test_t4_8_5_another_content_type_is_415_and_says_what_is_possible(web: Web, kind: str) -> None:
    response = post(web, message([file(web, ct(1))]), kind=kind)
    assert response.status_code == 415
    assert "application/dicom" in response.json()["detail"]


@pytest.mark.parametrize("accept", ["image/png", "text/html", 'multipart/related; type="application/dicom"'])
def test_t4_8_5_an_answer_that_cannot_be_given_is_406_and_nothing_is_stored(web: Web, accept: str) -> None:
    assert store(web, file(web, ct(1)), accept=accept).status_code == 406
    assert web.json("/instances") == []


def test_t4_8_5_an_instance_beyond_its_limit_is_413(tmp_path: Path) -> None:
    with open_web(tmp_path, part_limit_bytes=2000) as narrow:
        small, large = file(narrow, ct(1)), file(narrow, ct(2, PatientComments="x" * 2000))
        response = store(narrow, large)
        assert response.status_code == 413
        assert store(narrow, large, small, large).status_code == 202
        assert spooled(narrow) == []


def test_t4_10_5_3_an_archive_that_cannot_store_now_is_503_with_a_time(web: Web) -> None:
    moody(web.archive).mood = "away"
    response = store(web, file(web, ct(1)), file(web, ct(2)))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert values(response.json(), FAILED, "00081197") == [0xA700, 0xA700]


def test_t4_10_5_3_a_full_archive_is_507(web: Web) -> None:
    moody(web.archive).mood = "full"
    assert store(web, file(web, ct(1))).status_code == 507


# ---- T5 to T9: the answer's data set ----


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/dicom+json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+xml, application/dicom+json;q=0.5", "application/dicom+xml"),
    ],
)
def test_t5_i_1_the_answer_is_one_data_set_of_the_accepted_type(web: Web, accept: str | None, kind: str) -> None:
    response = store(web, file(web, ct(1)), **({"accept": accept} if accept else {}))
    assert response.headers["content-type"] == kind
    if kind.endswith("xml"):
        tags = [element.get("tag") for element in ElementTree.fromstring(response.content)]
        assert tags == ["00081190", "00081199"]
    else:
        assert list(response.json()) == ["00081190", "00081199"]


def test_t5_8_7_xml_in_a_multipart_message_is_possible_too(web: Web) -> None:
    response = store(web, file(web, ct(1)), accept='multipart/related; type="application/dicom+xml"')
    ((headers, body),) = parts(response)
    assert headers["content-type"] == "application/dicom+xml"
    assert b"NativeDicomModel" in body


def test_t6_i_1_sequences_are_there_only_with_items(web: Web) -> None:
    good, bad = file(web, ct(1)), file(web, ct(2, StudyInstanceUID=""))
    assert set(store(web, good).json()) == {"00081190", REFERENCED}
    assert set(store(web, bad).json()) == {"00081190", FAILED}
    assert set(store(web, b"nothing").json()) == {"00081190", OTHER}
    assert set(store(web, good, bad, b"nothing").json()) == {"00081190", FAILED, REFERENCED, OTHER}


def test_t7_i_1_items_name_class_instance_and_place(web: Web) -> None:
    answer = store(web, file(web, ct(1)), file(web, ct(2, SeriesInstanceUID=""))).json()
    assert answer["00081190"] == {"vr": "UR", "Value": [f"{BASE}/studies/{STUDY}"]}
    (stored,), (failed,) = items(answer, REFERENCED), items(answer, FAILED)
    assert stored["00081150"] == {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}
    assert stored["00081190"] == {"vr": "UR", "Value": [f"{BASE}{CT}/instances/{SERIES}.1"]}
    assert failed == {
        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00081155": {"vr": "UI", "Value": [f"{SERIES}.2"]},
        "00081197": {"vr": "US", "Value": [0xC000]},
    }


def test_t7_i_1_the_url_of_the_study_is_empty_when_there_are_several(web: Web) -> None:
    other = file(web, ct(1, study=OTHER_STUDY, series=OTHER_SERIES))
    response = store(web, file(web, ct(1)), other)
    assert response.json()["00081190"] == {"vr": "UR"}
    assert response.headers["location"] == f"{BASE}/studies"


def test_t8_i_2_a_transfer_syntax_that_cannot_be_kept_is_c122(web: Web) -> None:
    unknown = file(web, ct(1)).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.2.1\0", 1)
    response = store(web, unknown)
    assert values(response.json(), FAILED, "00081197") == [0xC122]


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.38.1", "1.2.840.10008.1.3.10"])
def test_t8_i_2_a_class_that_is_no_storage_class_is_0122(web: Web, uid: str) -> None:
    response = store(web, file(web, ct(1, SOPClassUID=uid)))
    assert response.status_code == 409
    assert values(response.json(), FAILED, "00081197") == [0x0122]


def test_t8_i_2_unknown_classes_are_kept_unless_the_setting_says_no(tmp_path: Path) -> None:
    for allowed, status in ((True, 200), (False, 409)):
        directory = tmp_path / str(allowed)
        directory.mkdir()
        with open_web(directory, settings=Settings(ingest=Ingest(unknown_sop_classes=allowed))) as opened:
            assert store(opened, file(opened, ct(1, SOPClassUID="1.2.826.0.1.99"))).status_code == status
            assert store(opened, file(opened, ct(2))).status_code == 200


def test_t8_i_2_other_content_under_the_policy_reject_is_0111(tmp_path: Path) -> None:
    with open_web(tmp_path, settings=Settings(ingest=Ingest(duplicates="reject"))) as strict:
        assert store(strict, file(strict, ct(1))).status_code == 200
        response = store(strict, file(strict, ct(1, PatientID="P9")))
        assert response.status_code == 409
        assert values(response.json(), FAILED, "00081197") == [0x0111]


def test_t9_i_2_a_file_meta_that_names_another_instance_is_stored_with_b007(web: Web) -> None:
    renamed = file(web, ct(1)).replace(f"{SERIES}.1".encode(), f"{SERIES}.7".encode(), 1)
    response = store(web, renamed)
    assert response.status_code == 202
    assert values(response.json(), REFERENCED, "00081155") == [f"{SERIES}.1"]
    assert values(response.json(), REFERENCED, "00081196") == [0xB007]


def test_g20_every_reason_is_told_in_words_too(web: Web) -> None:
    response = store(web, file(web, ct(1)), b"no DICOM file")
    assert response.headers["warning"].startswith(f"299 {BASE}: this is no DICOM file")


# ---- T10 to T16: what is kept ----


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian])
def test_t10_t14_10_5_2_the_data_set_is_kept_as_it_was_sent(web: Web, syntax: str) -> None:
    sent = file(web, ct(1), syntax)
    assert store(web, sent).status_code == 200
    record = record_of(web.archive)
    kept = b"".join(web.archive.read(record))
    assert kept == sent
    assert record.data_set_sha256 == hashlib.sha256(sent[record.data_set_offset :]).hexdigest()


def test_t14_10_4_what_was_sent_is_retrieved_bit_for_bit(web: Web) -> None:
    sent = [file(web, ct(number)) for number in (1, 2)]
    store(web, *sent)
    assert [body for _, body in parts(web.get(f"/studies/{STUDY}", AS_STORED))] == sent


def test_t11_10_5_3_the_answer_says_where_the_study_is(web: Web) -> None:
    response = store(web, file(web, ct(1)))
    assert response.headers["location"] == response.headers["content-location"] == f"{BASE}/studies/{STUDY}"
    assert "location" not in store(web, b"nothing").headers


def test_t12_10_5_1_instances_of_other_studies_fail_and_the_rest_goes_on(web: Web) -> None:
    foreign = file(web, ct(1, study=OTHER_STUDY, series=OTHER_SERIES))
    response = store(web, foreign, file(web, ct(1)), path=f"/studies/{STUDY}")
    assert response.status_code == 202
    assert values(response.json(), FAILED, "00081197") == [0xA900]
    assert values(response.json(), REFERENCED, "00081155") == [f"{SERIES}.1"]
    assert store(web, foreign, path=f"/studies/{STUDY}").status_code == 409
    assert store(web, foreign, path="/studies/not-a-uid").status_code == 400
    assert len(web.json("/studies")) == 1


def test_t13_the_same_again_is_200_and_writes_nothing(web: Web) -> None:
    sent = file(web, ct(1))
    first = store(web, sent)
    before = record_of(web.archive)
    again = store(web, sent, sent)
    assert again.status_code == 200
    assert items(again.json(), REFERENCED) == items(first.json(), REFERENCED) * 2
    assert record_of(web.archive) == before


def test_t13_other_content_leaves_the_first_as_it_is(web: Web) -> None:
    first = file(web, ct(1))
    store(web, first)
    store(web, file(web, ct(1, PatientID="P9")))
    assert web.json("/studies")[0]["00100020"]["Value"] == ["P1"]
    assert [body for _, body in parts(web.get(f"{CT}/instances/{SERIES}.1", AS_STORED))] == [first]
    assert len(web.archive.index.conflicts()) == 1


def test_t15_8_4_a_body_may_come_in_gzip(web: Web) -> None:
    body = gzip.compress(message([file(web, ct(1))]))
    assert post(web, body, content_encoding="gzip").status_code == 200
    assert post(web, body, content_encoding="br").status_code == 415
    assert post(web, body[:-9], content_encoding="gzip").status_code == 400


def test_t16_a_row_that_cannot_be_committed_is_no_success(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(type(web.archive.index), "commit", away)
    response = store(web, file(web, ct(1)))
    assert response.status_code == 503
    monkeypatch.undo()
    assert web.json("/instances") == []
    assert store(web, file(web, ct(1))).status_code == 200


def test_t16_success_is_sent_only_after_the_commit(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = type(web.archive.index).commit
    committing, allowed = threading.Event(), threading.Event()

    def slow(*values: Any, **named: Any) -> Any:
        committing.set()
        assert allowed.wait(20)
        return commit(*values, **named)

    monkeypatch.setattr(type(web.archive.index), "commit", slow)
    sent = file(web, ct(1))
    with ThreadPoolExecutor(1) as sender:
        answer = sender.submit(store, web, sent)
        assert committing.wait(20)
        assert not answer.done()
        allowed.set()
        assert answer.result(20).status_code == 200


def test_t15_8_4_a_body_without_a_length_comes_in_chunks(web: Web) -> None:
    body = message([file(web, ct(number)) for number in (1, 2)])
    with serving(web.archive) as url:
        pieces = (body[at : at + 100] for at in range(0, len(body), 100))
        response = httpx.post(f"{url}/studies", content=pieces, headers={"content-type": RELATED}, timeout=60)
    assert response.request.headers["transfer-encoding"] == "chunked"
    assert response.status_code == 200
    assert len(web.json(f"{CT}/instances")) == 2


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"Content-Type: {RELATED}", b"100"),
        ("Content-Type: text/plain", b"415"),
        (f"Content-Type: {RELATED}\r\nAccept: text/html", b"406"),
        (f"Content-Type: {RELATED}\r\nAuthorization: Bearer wrong", b"401"),
        (f"Content-Type: {RELATED}\r\nContent-Encoding: br", b"415"),
        ("Content-Type: multipart/related", b"400"),
    ],
)
def test_t15_a_refusal_comes_before_the_body_is_asked_for(web: Web, head: str, status: bytes) -> None:
    request = f"POST {ROOT}/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n{head}\r\n\r\n"
    with serving(web.archive) as url, socket.create_connection(("127.0.0.1", httpx.URL(url).port), 20) as connection:
        connection.sendall(request.encode())
        assert connection.recv(1000).split()[1] == status
