"""Reaching a peer: a connection, or the sentence that says how far it went and what to do about it.

Each step of a call has its own failures: find the machine, connect, associate (PS3.8 §9.3.4).
"""

from __future__ import annotations

import socket

# (source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21) -> what it means for whoever set the two sides up
REJECTIONS = {
    (1, 1): "it gives no reason",
    (1, 2): "it does not know DICOM's application context; is it a DICOM device?",
    (1, 3): "it does not know our AE title {ours}: enter that and this machine's address there",
    (1, 7): "its AE title is not {theirs}: correct ae_title of the peer",
    (2, 1): "its protocol layer gives no reason",
    (2, 2): "it speaks another version of the protocol",
    (3, 1): "it is congested for now; try again later",
    (3, 2): "its limit of associations is reached for now; try again later",
}


class NoAssociation(Exception):
    """The peer cannot be reached or does not want an association; the sentence says why. `is_transient`: try later."""

    def __init__(self, message: str, *, is_transient: bool = True) -> None:
        super().__init__(message)
        self.is_transient = is_transient


def connected(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connection. Raises NoAssociation."""
    place = f"{host}:{port} cannot be reached"
    try:
        return socket.create_connection((host, port), timeout=timeout_s)
    except socket.gaierror as error:
        raise NoAssociation(f"{place}: the name {host} is not known ({error.strerror})") from error
    except ConnectionRefusedError as error:
        raise NoAssociation(f"{place}: nobody listens; wrong port, or the device's service is not running") from error
    except TimeoutError as error:
        why = f"no answer within {timeout_s:g} s; the machine is off, or a firewall drops us"
        raise NoAssociation(f"{place}: {why}") from error
    except OSError as error:
        raise NoAssociation(f"{place}: {error.strerror or error}") from error


def rejected(result: int, source: int, reason: int, *, ours: str, theirs: str) -> NoAssociation:
    """What an A-ASSOCIATE-RJ means."""
    said = REJECTIONS.get((source, reason), "for a reason that is not in the standard").format(ours=ours, theirs=theirs)
    return NoAssociation(f"{theirs} refused ({result}/{source}/{reason}): {said}", is_transient=result == 2)
