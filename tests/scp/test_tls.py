"""DIMSE over TLS: who gets in, who does not and what the log says, certificates changed without a restart (D16)."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from bridge.errors import ConfigError
from bridge.settings import Dimse, Settings, Tls
from bridge.settings import Peer as KnownPeer
from scp.certificates import Certificates, client_context, server_context
from scp.scu import NoAssociation
from scp.trial import attempt
from tests.bridge.archives import SERIES, data_set
from tests.conftest import Dcmtk
from tests.scp.identities import Authority, Identity
from tests.scp.running import RunningDoor, running_door, settings, wait_for
from tests.scp.wire import ECHO_CONTEXT, STORE_CONTEXT, Peer, associate

DIMSE = Dimse(connect_timeout_s=2.0, response_timeout_s=5.0, artim_timeout_s=5.0, ae_title="CT01")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who vouches for everybody here."""
    return Authority(tmp_path / "certificates")


@contextmanager
def secured(tmp_path: Path, tls: Tls, *, peers: tuple[KnownPeer, ...] = (), **dimse: Any) -> Iterator[RunningDoor]:
    """A door with a TLS port beside the plain one."""
    wanted: Settings = replace(settings(peers=peers, **dimse), tls=tls)
    with running_door(tmp_path / "door", wanted) as door:
        yield door


def client(authority: Authority, own: Identity | None = None) -> ssl.SSLContext:
    """The context of a device that trusts the authority."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


class SecuredPeer(Peer):
    """The raw peer over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", port))
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        except BaseException:
            self.socket.close()
            raise


def test_an_image_is_stored_over_tls_with_both_certificates_shown(tmp_path: Path, authority: Authority) -> None:
    tls, device = authority.tls(authority.identity("127.0.0.1")), authority.identity("ct01.example")
    with secured(tmp_path, tls) as door, SecuredPeer(door.tls_port, client(authority, device)) as peer:
        peer.associate(ECHO_CONTEXT, STORE_CONTEXT)
        assert peer.echo() == 0x0000
        large = data_set(1, PixelData=bytes(3_000_000), Rows=1000, Columns=1500)
        assert peer.store(f"{SERIES}.1", large, fragment_bytes=65000) == 0x0000
        peer.release()
        assert door.count() == 1


def test_the_plain_port_is_open_beside_it(tmp_path: Path, authority: Authority) -> None:
    with secured(tmp_path, authority.tls(authority.identity("127.0.0.1"))) as door, Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        assert peer.echo() == 0x0000


@pytest.mark.parametrize(("mode", "shows", "admitted"), [
    ("required", True, True), ("required", False, False),
    ("optional", True, True), ("optional", False, True),
    ("none", True, True), ("none", False, True),
])  # fmt: skip
def test_a_certificate_of_the_caller_is_required_or_not(
    tmp_path: Path, authority: Authority, mode: str, shows: bool, admitted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.tls(authority.identity("127.0.0.1"), client_certificates=mode)
    context = client(authority, authority.identity("ct01.example") if shows else None)
    with secured(tmp_path, tls) as door:
        if admitted:
            with SecuredPeer(door.tls_port, context) as peer:
                peer.associate(ECHO_CONTEXT)
                assert peer.echo() == 0x0000
            return
        with SecuredPeer(door.tls_port, context) as peer, pytest.raises((ssl.SSLError, OSError, EOFError)):
            peer.associate(ECHO_CONTEXT)  # TLS 1.3 tells only now
        wait_for(lambda: "shows no certificate, and one is required" in caplog.text, "the log says why")


def test_a_certificate_of_somebody_else_is_not_trusted(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path / "elsewhere").identity("ct01.example")
    with secured(tmp_path, authority.tls(authority.identity("127.0.0.1"))) as door:
        with (
            SecuredPeer(door.tls_port, client(authority, stranger)) as peer,
            pytest.raises((ssl.SSLError, OSError, EOFError)),
        ):
            peer.associate(ECHO_CONTEXT)
        wait_for(lambda: "certificate is not trusted" in caplog.text, "the log says why")


def test_plain_dicom_on_the_tls_port_is_one_understandable_line(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        secured(tmp_path, authority.tls(authority.identity("127.0.0.1"))) as door,
        Peer(("127.0.0.1", door.tls_port)) as peer,
    ):
        peer.send(associate(ECHO_CONTEXT))
        wait_for(lambda: bool(caplog.messages), "the log says why")
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line == (
        "refused a caller at 127.0.0.1, because no TLS came about: the other side does not speak TLS on this port"
    )


def old_version(context: ssl.SSLContext) -> None:
    """TLS 1.1 at most."""
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def without_authentication(context: ssl.SSLContext) -> None:
    """TLS 1.2 with CBC suites only."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AES+SHA256:!AESGCM")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("limited", "why"),
    [
        (old_version, "offers no version of TLS that is allowed here"),
        (without_authentication, "no cipher suite of the profile"),
    ],
)
def test_what_is_outside_of_the_profile_is_refused(
    tmp_path: Path,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    limited: Callable[[ssl.SSLContext], None],
    why: str,
) -> None:
    context = client(authority)
    limited(context)
    tls = authority.tls(authority.identity("127.0.0.1"), client_certificates="none")
    with secured(tmp_path, tls) as door:
        with pytest.raises((ssl.SSLError, OSError)):
            SecuredPeer(door.tls_port, context)
        wait_for(lambda: why in caplog.text, "the log says why")


def test_every_cipher_suite_has_ephemeral_keys_and_authenticated_encryption(authority: Authority) -> None:
    for context in (server_context(authority.tls(authority.identity("a.example"))), client_context(Tls())):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        for cipher in context.get_ciphers():
            assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")
            assert cipher["aead"]


def test_tls_1_3_alone_can_be_asked_for(authority: Authority) -> None:
    tls = authority.tls(authority.identity("a.example"), minimum_version="1.3")
    assert server_context(tls).minimum_version is ssl.TLSVersion.TLSv1_3


def test_a_handshake_that_does_not_end_is_ended(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.tls(authority.identity("127.0.0.1"), handshake_timeout_s=0.3)
    with secured(tmp_path, tls) as door, socket.create_connection(("127.0.0.1", door.tls_port)) as slow:
        slow.settimeout(10)
        slow.sendall(b"\x16\x03\x01\x02\x00")  # a record begins
        assert slow.recv(1) == b""
        wait_for(lambda: "not over within 0.3 s" in caplog.text, "the log says why")


def test_a_caller_that_hangs_up_in_the_handshake_harms_nobody(tmp_path: Path, authority: Authority) -> None:
    with secured(tmp_path, authority.tls(authority.identity("127.0.0.1"))) as door:
        for said in (b"", b"\x16\x03\x01"):
            with socket.create_connection(("127.0.0.1", door.tls_port)) as caller:
                caller.sendall(said)
        wait_for(lambda: door.server.open() == 0, "nothing is left open")


def test_one_that_trickles_records_after_the_handshake_is_closed_in_time(tmp_path: Path, authority: Authority) -> None:
    tls = authority.tls(authority.identity("127.0.0.1"), client_certificates="none")
    with secured(tmp_path, tls, artim_timeout_s=0.5) as door, SecuredPeer(door.tls_port, client(authority)) as peer:
        raw = socket.socket(fileno=socket.dup(peer.socket.fileno()))
        with raw:
            stop = threading.Event()

            def trickle() -> None:
                for byte in b"\x17\x03\x03\x40\x00" + bytes(1000):  # a record that takes for ever
                    if stop.wait(0.05):
                        return
                    try:
                        raw.sendall(bytes((byte,)))
                    except OSError:
                        return

            thread = threading.Thread(target=trickle)
            thread.start()
            wait_for(lambda: door.server.open() == 0, "it is closed")
            stop.set()
            thread.join(10)


CERTIFIED = KnownPeer(name="ct-1", ae_title="CT01", certificate="ct01.example")


def call(door: RunningDoor, authority: Authority, own: Identity, known: KnownPeer | None = None) -> str:
    """Echo as CT01 with our own requestor."""
    tls = authority.tls(own)
    peer = known or KnownPeer(name="a", ae_title="BRIDGE", host="127.0.0.1", port=door.tls_port, tls=True)
    return attempt(peer, DIMSE, tls)


def test_a_peer_is_tied_to_its_certificate(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with secured(tmp_path, authority.tls(authority.identity("127.0.0.1")), peers=(CERTIFIED,)) as door:
        assert "answered the echo" in call(door, authority, authority.identity("ct01.example"))
        assert "answered the echo" in call(door, authority, authority.identity(common_name="ct01.example"))
        with pytest.raises(NoAssociation, match="gives no reason"):
            call(door, authority, authority.identity("mr01.example"))
        assert "must show a certificate for ct01.example, not for mr01.example" in caplog.text
        with pytest.raises(NoAssociation, match="gives no reason"):
            attempt(KnownPeer(name="a", ae_title="BRIDGE", host="127.0.0.1", port=door.port), DIMSE, Tls())
        assert "the peer ct-1 may call only over TLS" in caplog.text


def test_a_peer_that_is_called_over_tls_must_be_who_it_says(tmp_path: Path, authority: Authority) -> None:
    own = authority.identity("ct01.example")
    with secured(tmp_path, authority.tls(authority.identity("archive.example"))) as door:
        place = {"name": "a", "ae_title": "BRIDGE", "host": "127.0.0.1", "port": door.tls_port}
        named = KnownPeer(**place, certificate="archive.example")  # type: ignore[arg-type]
        assert "answered the echo" in call(door, authority, own, named)
        with pytest.raises(NoAssociation, match="no TLS came about: the other side's certificate is not trusted"):
            call(door, authority, own, KnownPeer(**place, tls=True))  # type: ignore[arg-type]
        with pytest.raises(NoAssociation, match="is it a DICOM port, and one without TLS"):
            attempt(KnownPeer(**place), DIMSE, Tls())  # type: ignore[arg-type]


def test_a_peer_that_does_not_speak_tls_is_explained(tmp_path: Path, authority: Authority) -> None:
    with running_door(tmp_path / "door") as door:
        peer = KnownPeer(name="a", ae_title="BRIDGE", host="127.0.0.1", port=door.port, tls=True)
        with pytest.raises(NoAssociation, match="no TLS came about"):
            attempt(peer, DIMSE, authority.tls(authority.identity("ct01.example")))


def test_a_new_certificate_is_taken_without_a_restart(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    own = authority.identity("127.0.0.1")
    tls = authority.tls(own, client_certificates="none")
    with (
        secured(tmp_path, tls, peers_interval_s=60.0) as door,
        SecuredPeer(door.tls_port, client(authority)) as open_one,
    ):
        open_one.associate(ECHO_CONTEXT)
        own.certificate.write_text("rubbish")
        door.server.look_again()
        wait_for(lambda: "the certificate stays as it was" in caplog.text, "the log says so")
        renewed = Authority(tmp_path / "renewed")
        fresh = renewed.identity("127.0.0.1")
        shutil.copy(fresh.key, own.key)
        shutil.copy(fresh.certificate, own.certificate)
        door.server.look_again()

        def is_renewed() -> bool:
            try:
                with SecuredPeer(door.tls_port, client(renewed)) as peer:
                    peer.associate(ECHO_CONTEXT)
                    return peer.echo() == 0x0000
            except ssl.SSLError:
                return False

        wait_for(is_renewed, "the new certificate is shown")
        assert open_one.echo() == 0x0000


def test_a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    device, other = authority.identity("ct01.example"), authority.identity("mr01.example")
    tls = authority.tls(authority.identity("127.0.0.1"), revoked=str(authority.revocation_list()))
    with secured(tmp_path, tls, peers_interval_s=0.1) as door:

        def is_admitted(own: Identity) -> bool:
            try:
                with SecuredPeer(door.tls_port, client(authority, own)) as peer:
                    peer.associate(ECHO_CONTEXT)
                    return peer.echo() == 0x0000
            except (OSError, EOFError):
                return False

        assert is_admitted(device)
        authority.revocation_list(device)
        wait_for(lambda: not is_admitted(device), "the revoked one is refused")
        assert is_admitted(other)
        wait_for(lambda: "certificate is not trusted: certificate revoked" in caplog.text, "the log says why")
        authority.revocation_list(device, days=-1)
        wait_for(lambda: not is_admitted(other), "an expired list vouches for nobody")
        wait_for(lambda: "CRL has expired" in caplog.text, "the log says why")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"revoked": "/nowhere.pem"}, "tls.revoked /nowhere.pem cannot be used"),
        ({"certificate": ""}, "tls.port needs tls.certificate"),
        ({"authorities": ""}, "tls.authorities is empty"),
        ({"certificate": "/nowhere.pem"}, "tls.certificate and tls.key cannot be used"),
        ({"authorities": "/nowhere.pem"}, "tls.authorities /nowhere.pem cannot be used"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    authority: Authority, change: dict[str, str], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        Certificates(authority.tls(authority.identity("a.example"), **change))


def test_dcmtk_speaks_to_it_with_and_without_a_certificate(
    tmp_path: Path, authority: Authority, dcmtk: Dcmtk, shared_data: Path
) -> None:
    own, device = authority.identity("127.0.0.1"), authority.identity("ct01.example")
    files = sorted((shared_data / "ct-head-phantom").glob("I2*.dcm"))[:5]
    trust = ("+cf", str(authority.file))
    with secured(tmp_path, authority.tls(own)) as door:
        certified = ("+tls", str(device.key), str(device.certificate), *trust)
        done = dcmtk.run("echoscu", *certified, "127.0.0.1", str(door.tls_port))
        assert done.returncode == 0, done.stderr
        done = dcmtk.run("storescu", *certified, "127.0.0.1", str(door.tls_port), *files)
        assert done.returncode == 0, done.stderr
        assert door.count() == 5
        assert dcmtk.run("echoscu", "+tla", *trust, "127.0.0.1", str(door.tls_port)).returncode != 0
    with secured(tmp_path, authority.tls(own, client_certificates="optional")) as door:
        done = dcmtk.run("echoscu", "+tla", *trust, "127.0.0.1", str(door.tls_port))
        assert done.returncode == 0, done.stderr


def test_pynetdicom_speaks_to_it(tmp_path: Path, authority: Authority) -> None:
    tls, device = authority.tls(authority.identity("127.0.0.1")), authority.identity("ct01.example")
    with secured(tmp_path, tls) as door:
        entity = AE(ae_title="CT01")
        entity.add_requested_context(Verification)
        entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", door.tls_port, tls_args=(client(authority, device), "127.0.0.1"))
        assert association.is_established
        assert association.send_c_echo().Status == 0x0000
        association.release()


def test_tls_on_the_plain_port_is_explained(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with running_door(tmp_path / "door") as door:
        with pytest.raises((ssl.SSLError, OSError)):
            SecuredPeer(door.port, client(authority))
        wait_for(lambda: "a TLS handshake; this port speaks plain DICOM" in caplog.text, "the log says why")


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"], ids=["non-downgrading", "BCP 195", "extended"])
def test_dcmtk_speaks_every_profile_of_bcp_195_to_it(
    tmp_path: Path, authority: Authority, dcmtk: Dcmtk, profile: str
) -> None:
    tls = authority.tls(authority.identity("127.0.0.1"), client_certificates="none")
    with secured(tmp_path, tls) as door:
        done = dcmtk.run("echoscu", "+tla", profile, "+cf", authority.file, "127.0.0.1", str(door.tls_port))
        assert done.returncode == 0, done.stderr
