"""`python -m dicomweb`: one process of the HTTP door on an inherited or own listening socket (DESIGN §7)."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
from pathlib import Path

import uvicorn

from bridge import logs, steady
from bridge.archive import open_archive
from bridge.config import load
from bridge.settings import Settings
from dicomweb.app import create_app
from dicomweb.deps import open_door
from dicomweb.protocol import limited_protocol

_LOG = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish running answers within http.drain_timeout_s."""
    parser = argparse.ArgumentParser(prog="python -m dicomweb")
    parser.add_argument("--fd", type=int, help="listen on this inherited socket instead of http.host and http.port")
    parser.add_argument("--config", type=Path, help="the configuration file")
    options = parser.parse_args(arguments)
    settings = load(options.config)
    logs.set_up(settings)
    archive = open_archive(settings)
    door = open_door(archive, settings)
    try:
        with _listening(settings, options.fd) as listening:
            server = uvicorn.Server(uvicorn_config(create_app(door), settings))
            for number in (
                signal.SIGTERM,
                signal.SIGINT,
            ):  # until the server has its own; at its end it raises them again
                signal.signal(number, lambda *_: setattr(server, "should_exit", True))
            steady.settle()
            server.run(sockets=[listening])
    finally:
        door.close()
        archive.close()
    return 0


def uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
    """The server around the application: uvloop, httptools, limits, TLS where a certificate is set."""
    http = settings.http
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn has its own spelling of an ASGI application
        loop="uvloop",
        http=limited_protocol(http.header_bytes),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # dicomweb/proxies.py does it, and keeps the port
        limit_concurrency=http.connections,
        backlog=http.connections,
        timeout_keep_alive=http.keep_alive_timeout_s,
        timeout_graceful_shutdown=http.drain_timeout_s,
        ssl_certfile=http.tls_certificate or None,
        ssl_keyfile=http.tls_key or None,
    )


def _listening(settings: Settings, descriptor: int | None) -> socket.socket:
    if descriptor is not None:
        listening = socket.socket(fileno=descriptor)
    else:
        family = socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.http.host, settings.http.port))
        listening.listen(settings.http.connections)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    return listening


if __name__ == "__main__":
    raise SystemExit(main())
