"""What real clients send, word by word, and what they read; dicomweb-client itself against a real server."""

from __future__ import annotations

import http.client
import io
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.uid import EncapsulatedPDFStorage

from tests.bridge import shown
from tests.dicomweb.storing import RELATED, message
from tests.dicomweb.web import (
    CT,
    OTHER_STUDY,
    ROOT,
    SERIES,
    STUDY,
    Web,
    ct,
    fill,
    open_web,
    parts,
    pixels,
    read_part10,
    save,
    serving,
    uids,
)

OHIF_ACCEPT = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        fill(opened)
        yield opened


@pytest.fixture(scope="module")
def url(web: Web) -> Iterator[str]:
    with serving(web.archive) as root:
        yield root


@pytest.fixture(scope="module")
def client(url: str) -> DICOMwebClient:
    return DICOMwebClient(url)


# ---- OHIF ----


def test_ohif_work_list(web: Web) -> None:
    query = (
        "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030"
        "&PatientName=*zhang*&00100020=*P*&AccessionNumber=*A*&StudyDescription=*HEAD*&ModalitiesInStudy=CT"
        f"&StudyDate=19700102-20261123&StudyInstanceUID={STUDY}%5C{OTHER_STUDY}"
    )
    (study,) = web.json(f"/studies?{query}", OHIF_ACCEPT)
    for tag in ("0020000D", "00080020", "00080030", "00080050", "00100020", "00100030", "00201208", "00081030"):
        assert study[tag]["Value"][0] is not None
    assert study["00080061"]["Value"] == ["CT", "MR"]
    assert study["00100010"]["Value"][0]["Alphabetic"] == "Zhang^San"


def test_ohif_opens_a_study(web: Web) -> None:
    series = web.json(f"/studies/{STUDY}/series?includefield=0008103E,00080021", OHIF_ACCEPT)
    for item in series:
        assert all(item[tag]["Value"] for tag in ("0020000E", "00200011", "00080060", "00201209", "0008103E"))
        assert web.json(f"/studies/{STUDY}/series/{item['0020000E']['Value'][0]}/metadata", OHIF_ACCEPT)
    assert uids(web.json(f"/studies/{STUDY}/series?SeriesInstanceUID={SERIES}"), "0020000E") == [SERIES]


def test_ohif_finds_one_instance_for_a_thumbnail(web: Web) -> None:
    (found,) = web.json(f"{CT}/instances?limit=1&includefield=00080018")
    assert found["00080018"]["Value"] == [f"{SERIES}.1"]


# ---- Cornerstone3D, dwv, dicomweb-client in JavaScript: naive multipart readers ----


def test_cornerstone_reads_a_frame(web: Web) -> None:
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    body = web.get(f"{CT}/instances/{SERIES}.2/frames/1", accept).content
    header_end = body.index(b"\r\n\r\n")
    boundary = body[: body.index(b"\r\n")]
    assert boundary.startswith(b"--")
    header = body[:header_end].decode()
    assert "Content-Type:" in header
    syntax = header[header.index("transfer-syntax=") + 16 :].split("\r\n")[0].split(";")[0]
    assert syntax == "1.2.840.10008.1.2.1"
    end = body.index(boundary, header_end + 4) - 2
    assert body[header_end + 4 : end] == pixels(2)


def test_a_javascript_client_finds_the_first_header_in_the_first_1000_bytes(web: Web) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.2", 'multipart/related; type="application/dicom"; transfer-syntax=*')
    assert response.content.index(b"\r\n\r\n") < 1000


def test_a_range_on_a_frame_is_answered_with_the_whole_frame(web: Web) -> None:
    """Cornerstone3D asks for ranges of HTJ2K frames; without them it reads on."""
    response = web.get(f"{CT}/instances/{SERIES}.2/frames/1", "*/*", range="bytes=0-10")
    assert response.status_code == 200
    assert parts(response)[0][1] == pixels(2)


# ---- Weasis ----

WEASIS_FIELDS = (
    "00080020,00080030,00080050,00080061,00080090,00081030,"
    "00100010,00100020,00100021,00100030,00100040,0020000D,00200010"
)


@pytest.mark.parametrize("key", ["00100020=P1", f"0020000D={STUDY}", "00080050=A1"])
def test_weasis_finds_a_study(web: Web, key: str) -> None:
    (study,) = web.json(f"/studies?{key}&includefield={WEASIS_FIELDS}")
    assert set(WEASIS_FIELDS.split(",")) <= set(study)


def test_weasis_searches_relationally_and_reads_the_patient(web: Web) -> None:
    (series,) = web.json(f"/series?0020000E={SERIES}&includefield={WEASIS_FIELDS}")
    (instance,) = web.json(f"/instances?00080018={SERIES}.1&includefield={WEASIS_FIELDS}")
    for found in (series, instance):
        assert found["0020000D"]["Value"] == [STUDY]
        assert found["00100020"]["Value"] == ["P1"]


def test_weasis_follows_retrieve_urls(web: Web) -> None:
    series = web.json(f"/studies/{STUDY}/series?includefield=0008103E,00080060,0020000E,00200011,00081190")
    for item in series:
        below = item["00081190"]["Value"][0]
        instances = web.client.get(f"{below}/instances?includefield=00080018,00200013,00081190").json()
        for instance in instances:
            link = instance["00081190"]["Value"][0]
            accept = 'multipart/related;type="application/dicom";transfer-syntax=1.2.840.10008.1.2.1'
            assert len(parts(web.client.get(link, headers={"accept": accept}))) == 1


# ---- dicomweb-client in Python (3D Slicer, MONAI Label) ----


def test_dicomweb_client_searches(client: DICOMwebClient) -> None:
    found = client.search_for_studies(fields=["StudyDescription"], search_filters={"PatientID": "P1"})
    assert uids(found, "0020000D") == [STUDY]
    assert len(client.search_for_series(STUDY)) == 2
    assert len(client.search_for_instances(STUDY)) == 4
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_dicomweb_client_pages_to_the_end(client: DICOMwebClient) -> None:
    assert len(client.search_for_instances(limit=2, get_remaining=True)) == 5


def test_dicomweb_client_retrieves_instances(client: DICOMwebClient) -> None:
    assert client.retrieve_instance(STUDY, SERIES, f"{SERIES}.2").PixelData == pixels(2)
    assert len(client.retrieve_series(STUDY, SERIES)) == 3
    assert len(list(client.iter_study(STUDY))) == 4


def test_dicomweb_client_retrieves_metadata_and_bulk_data(client: DICOMwebClient) -> None:
    (item,) = (client.retrieve_instance_metadata(STUDY, SERIES, f"{SERIES}.2"),)
    link = item["7FE00010"]["BulkDataURI"]
    assert client.retrieve_bulkdata(link) == [pixels(2)]
    assert client.retrieve_bulkdata(link, media_types=("application/octet-stream",)) == [pixels(2)]
    assert len(client.retrieve_study_metadata(STUDY)) == 4


def test_dicomweb_client_retrieves_frames(client: DICOMwebClient) -> None:
    assert client.retrieve_instance_frames(STUDY, SERIES, f"{SERIES}.2", [1]) == [pixels(2)]


SYNTAXES = {"image/jls": "1.2.840.10008.1.2.4.80", "image/jp2": "1.2.840.10008.1.2.4.90"}  # of those it knows


@pytest.mark.parametrize("syntax", [*SYNTAXES.values(), "1.2.840.10008.1.2.5"])
def test_dicomweb_client_retrieves_in_a_syntax_it_names(client: DICOMwebClient, syntax: str) -> None:
    wanted = (("application/dicom", syntax),)
    item = client.retrieve_instance(STUDY, SERIES, f"{SERIES}.2", media_types=wanted)
    assert (item.file_meta.TransferSyntaxUID, item.SOPInstanceUID) == (syntax, f"{SERIES}.2")
    found = list(client.iter_series(STUDY, SERIES, media_types=wanted))
    assert {one.file_meta.TransferSyntaxUID for one in found} == {syntax}


@pytest.mark.parametrize("media_type", SYNTAXES)
def test_dicomweb_client_retrieves_compressed_frames(client: DICOMwebClient, media_type: str) -> None:
    for wanted in (media_type, (media_type, SYNTAXES[media_type])):
        (frame,) = client.retrieve_instance_frames(STUDY, SERIES, f"{SERIES}.2", [1], media_types=(wanted,))
        assert frame[:2] in (b"\xff\xd8", b"\xff\x4f")


def test_dicomweb_client_retrieves_bulk_data_by_range(client: DICOMwebClient) -> None:
    link = client.retrieve_instance_metadata(STUDY, SERIES, f"{SERIES}.2")["7FE00010"]["BulkDataURI"]
    octets = ("application/octet-stream",)
    assert client.retrieve_bulkdata(link, media_types=octets, byte_range=(4, 9)) == [pixels(2)[4:10]]


@pytest.mark.parametrize(("media_type", "form"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")])
def test_dicomweb_client_retrieves_rendered_pictures(client: DICOMwebClient, media_type: str, form: str) -> None:
    one = client.retrieve_instance_rendered(STUDY, SERIES, f"{SERIES}.2", media_types=(media_type,))
    frame = client.retrieve_instance_frames_rendered(STUDY, SERIES, f"{SERIES}.2", [1], media_types=(media_type,))
    assert Image.open(io.BytesIO(one)).format == form
    assert frame == one


def test_dicomweb_client_passes_rendering_parameters(client: DICOMwebClient) -> None:
    asked = {"viewport": "40,20", "window": "100,50,linear-exact", "quality": 40}
    body = client.retrieve_instance_rendered(STUDY, SERIES, f"{SERIES}.2", media_types=("image/jpeg",), params=asked)
    assert Image.open(io.BytesIO(body)).size == (20, 20)


# ---- the server itself ----


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "text/xml"])
def test_dicomweb_client_retrieves_a_report_rendered(tmp_path: Path, media_type: str) -> None:
    with open_web(tmp_path) as opened:
        ref = opened.add(shown.report(shown.content("TEXT", TextValue="左肺上叶结节")))
        with serving(opened.archive) as root:
            uids_of = (ref.study_instance_uid, ref.series_instance_uid or "", ref.sop_instance_uid or "")
            body = DICOMwebClient(root).retrieve_instance_rendered(*uids_of, media_types=(media_type,))
    assert "左肺上叶结节" in body.decode()


def test_dicomweb_client_retrieves_a_document_rendered(tmp_path: Path) -> None:
    item = shown.instance(EncapsulatedPDFStorage, MIMETypeOfEncapsulatedDocument="application/pdf")
    item.EncapsulatedDocument, item.EncapsulatedDocumentLength = b"%PDF-1.4 odd!\0", 13
    with open_web(tmp_path) as opened:
        ref = opened.add(item)
        with serving(opened.archive) as root:
            uids_of = (ref.study_instance_uid, ref.series_instance_uid or "", ref.sop_instance_uid or "")
            body = DICOMwebClient(root).retrieve_instance_rendered(*uids_of, media_types=("application/pdf",))
    assert body == b"%PDF-1.4 odd!"


def test_links_carry_the_port_of_the_server(url: str, client: DICOMwebClient) -> None:
    found = client.search_for_studies(search_filters={"PatientID": "P1"})
    assert found[0]["00081190"]["Value"] == [f"{url}/studies/{STUDY}"]


def test_a_connection_is_kept_alive_over_many_answers(url: str) -> None:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)) as connection:
        connection.connect()
        local = connection.sock.getsockname()
        for path in ("/studies", f"{CT}/metadata", f"{CT}/instances/{SERIES}.1", "/studies/1.2.3", "/nope"):
            connection.request("GET", ROOT + path)
            response = connection.getresponse()
            assert len(response.read()) == int(response.headers["content-length"])
            assert connection.sock.getsockname() == local


def test_many_tiles_at_once_are_all_right(url: str) -> None:
    """A slide viewer asks for hundreds of frames at once."""
    failures: list[object] = []

    def ask() -> None:
        place = urlsplit(url)
        with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)) as connection:
            for number in (1, 2, 3) * 5:
                connection.request("GET", f"{ROOT}{CT}/instances/{SERIES}.{number}/frames/1")
                body = connection.getresponse().read()
                if pixels(number) not in body:
                    failures.append(body)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_a_head_that_grows_without_end_is_cut(url: str) -> None:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)) as connection:
        connection.connect()
        connection.sock.sendall(b"GET / HTTP/1.1\r\n")
        answer = b""
        try:
            for _ in range(100):
                connection.sock.sendall(b"X-Padding: " + b"x" * 4096 + b"\r\n")
            answer = connection.sock.recv(100)
        except ConnectionError:
            return
        assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_long_study_streams_and_ends_complete(tmp_path: Path) -> None:
    with open_web(tmp_path) as large:
        for number in range(1, 31):
            item = ct(number, Rows=512, Columns=256)
            item.PixelData = bytes([number]) * (512 * 256 * 2)
            large.add(item)
        response = large.get(f"/studies/{STUDY}")
        assert int(response.headers["content-length"]) == len(response.content)
        assert len(parts(response)) == 30


def test_a_client_that_leaves_frees_the_source(tmp_path: Path) -> None:
    with open_web(tmp_path) as large:
        for number in range(1, 41):
            item = ct(number, Rows=512, Columns=512)
            item.PixelData = bytes(512 * 512 * 2)
            large.add(item)
        with serving(large.archive) as root:
            place = urlsplit(root)
            for _ in range(5):
                connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
                connection.request("GET", f"{ROOT}/studies/{STUDY}")
                connection.getresponse().read(1000)
                connection.close()
            with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)) as connection:
                connection.request("GET", f"{ROOT}/studies")
                assert connection.getresponse().status == 200


# ---- senders ----


def test_dicomweb_client_stores_instances_and_reads_the_answer(tmp_path: Path) -> None:
    with open_web(tmp_path) as empty, serving(empty.archive) as root:
        sender = DICOMwebClient(root)
        sent = [read_part10(save(ct(number), tmp_path / "sent.dcm").read_bytes()) for number in (1, 2)]
        answer = sender.store_instances(sent, study_instance_uid=STUDY)
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
            f"{SERIES}.1",
            f"{SERIES}.2",
        ]
        assert "FailedSOPSequence" not in answer
        assert [item.PixelData for item in sender.retrieve_series(STUDY, SERIES)] == [pixels(1), pixels(2)]


def test_curl_sends_a_file_alone_and_a_message(tmp_path: Path) -> None:
    save(ct(1), tmp_path / "one.dcm")
    (tmp_path / "message").write_bytes(message([save(ct(2), tmp_path / "two.dcm").read_bytes()]))
    with open_web(tmp_path) as empty, serving(empty.archive) as root:
        for kind, name in (("application/dicom", "one.dcm"), (RELATED, "message")):
            said = subprocess.run(
                ["curl", "-sS", "--fail", "-H", f"Content-Type: {kind}", "-H", "Expect: 100-continue",
                 "--data-binary", f"@{tmp_path / name}", f"{root}/studies"],
                check=True, capture_output=True, timeout=60,
            )  # fmt: skip
            assert "00081199" in json.loads(said.stdout)
        assert sorted(uids(empty.json(f"{CT}/instances"))) == [f"{SERIES}.1", f"{SERIES}.2"]
