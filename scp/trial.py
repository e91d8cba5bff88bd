"""`python -m scp.trial NAME`: call a peer as we would in earnest, echo, and say in words how far that went.

Each step has its own failures and each failure its sentence: find the machine, connect, associate, echo.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from pynetdicom import AE
from pynetdicom.association import Association

from bridge.archive import open_archive
from bridge.config import Dimse, Peer, load
from bridge.errors import ConfigError
from bridge.peers import known
from scp.contexts import VERIFICATION
from storage.errors import StorageError

# (source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21) -> what it means for whoever set the two sides up
REJECTIONS = {
    (1, 1): "it gives no reason",
    (1, 2): "it does not know DICOM's application context; is it a DICOM device?",
    (1, 3): "it does not know us: enter our AE title {ours} and this machine's address there",
    (1, 7): "it has another AE title than {theirs}: correct ae_title of the peer",
    (2, 1): "its protocol layer gives no reason",
    (2, 2): "it speaks another version of the protocol",
    (3, 1): "it is congested for now; try again later",
    (3, 2): "its limit of associations is reached for now; try again later",
}


class Failed(Exception):
    """How far it went; `str(error)` is the sentence."""


def main(arguments: list[str] | None = None) -> int:
    """Try one peer; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scp.trial", description="Call a peer and send an echo.")
    parser.add_argument("name", help="the peer's name")
    parser.add_argument("--config", type=Path, help="the configuration file (TOML)")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.config)
        archive = open_archive(settings)
        try:
            peer = known(archive).named(options.name)
        finally:
            archive.close()
        if peer is None:
            raise Failed(f"there is no peer named {options.name!r}")
        print(attempt(peer, settings.dimse))
    except (ConfigError, StorageError, Failed) as error:
        print(f"{options.name}: {error}", file=sys.stderr)
        return 1
    return 0


def attempt(peer: Peer, dimse: Dimse) -> str:
    """Echo; the sentence of success. Raises Failed."""
    host, port = where(peer)
    _reach(host, port, dimse.connect_timeout_s)
    association = _associate(peer, host, port, dimse)
    try:
        if not association.accepted_contexts:
            raise Failed("it accepted the association, but not the Verification service; the link itself works")
        status = association.send_c_echo()
    finally:
        association.release()
    if "Status" not in status:
        raise Failed(f"it accepted the association, but did not answer the echo within {dimse.response_timeout_s:g} s")
    if status.Status != 0x0000:
        raise Failed(f"it answered the echo with status 0x{status.Status:04X}")
    return f"{peer.name}: {peer.ae_title} at {host}:{port} answered the echo"


def where(peer: Peer) -> tuple[str, int]:
    """Host and port of a peer. Raises Failed when we do not know them."""
    host = peer.host or next((address for address in peer.addresses if "/" not in address), "")
    if not host or not peer.port:
        raise Failed(f"we do not know where it listens: dicom-bridge peers set {peer.name} host=... port=...")
    return host, peer.port


def _reach(host: str, port: int, timeout_s: float) -> None:
    """A connection of its own, because the association's tells too little about why there is none."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except socket.gaierror as error:
        raise Failed(f"the name {host} is not known: {error.strerror}") from error
    except ConnectionRefusedError as error:
        raise Failed(f"nobody listens on {host}:{port}: wrong port, or the device's service is not running") from error
    except TimeoutError as error:
        raise Failed(
            f"{host}:{port} did not answer within {timeout_s:g} s: the machine is off, or a firewall drops us"
        ) from error
    except OSError as error:
        raise Failed(f"{host}:{port} cannot be reached: {error.strerror or error}") from error


def _associate(peer: Peer, host: str, port: int, dimse: Dimse) -> Association:
    entity = AE(ae_title=dimse.ae_title)
    entity.connection_timeout = dimse.connect_timeout_s
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = dimse.response_timeout_s
    entity.add_requested_context(VERIFICATION)
    association = entity.associate(host, port, ae_title=peer.ae_title)
    if association.is_rejected:
        answer = association.acceptor.primitive
        said = REJECTIONS.get((answer.result_source, answer.diagnostic), "its reason is not in the standard")
        triple = f"{answer.result}/{answer.result_source}/{answer.diagnostic}"
        raise Failed(f"it refused the association ({triple}): {said.format(ours=dimse.ae_title, theirs=peer.ae_title)}")
    if not association.is_established:
        _close(association)
        raise Failed(
            f"{host}:{port} takes connections, but no association came about: it hung up or said nothing within "
            f"{dimse.response_timeout_s:g} s; is it a DICOM port, and one without TLS?"
        )
    return association


def _close(association: Association) -> None:
    """pynetdicom forgets the socket of an association that the peer broke off."""
    transport = association.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.close()


if __name__ == "__main__":
    sys.exit(main())
