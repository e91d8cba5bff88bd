"""`python -m scp.trial NAME`: call a peer as we would in earnest, echo, and say in words how far that went."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bridge.archive import open_archive
from bridge.config import load
from bridge.errors import ConfigError
from bridge.peers import known
from bridge.settings import Dimse, Peer, Tls
from scp.command import SUCCESS
from scp.connection import Broken
from scp.contexts import IDENTIFIER_SYNTAXES, VERIFICATION
from scp.scu import NoAssociation, Offer, OperationFailed, open_association, remote_of
from scp.upper_layer import ProtocolError
from storage.errors import StorageError

_ECHO = Offer(VERIFICATION, IDENTIFIER_SYNTAXES)


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
            raise NoAssociation("there is no peer of that name")
        print(attempt(peer, settings.dimse, settings.tls))
    except (ConfigError, StorageError, NoAssociation) as error:
        print(f"{options.name}: {error}", file=sys.stderr)
        return 1
    return 0


def attempt(peer: Peer, dimse: Dimse, tls: Tls) -> str:
    """Echo; the sentence of success. Raises NoAssociation."""
    remote = remote_of(peer)
    if remote is None:
        raise NoAssociation(f"we do not know where it listens: dicom-bridge peers set {peer.name} host=... port=...")
    try:
        with open_association(remote, [_ECHO], calling_ae_title=dimse.ae_title, dimse=dimse, tls=tls) as association:
            status = association.echo()
    except OperationFailed as error:
        raise NoAssociation(
            "it accepted the association, but not the service; the link itself works ({error})"
        ) from error
    except (Broken, ProtocolError) as error:
        raise NoAssociation(f"it accepted the association, but did not answer the echo: {error}") from error
    if status.code != SUCCESS.code:
        raise NoAssociation(f"it answered the echo with status 0x{status.code:04X}")
    return f"{peer.name}: {remote.ae_title} at {remote.host}:{remote.port} answered the echo"


if __name__ == "__main__":
    sys.exit(main())
