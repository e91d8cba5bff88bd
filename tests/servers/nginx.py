"""nginx with TLS on loopback, in front of a bridge: one location for each way to tell it what the caller asked for."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme

from tests.servers.install import locate
from tests.servers.process import ServerProcess, free_port

_CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 0; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
        {locations}
    }}
}}
"""
_LOCATION = "location /{name}/ {{ proxy_pass {upstream}/; proxy_set_header Connection ''; {headers} }}"


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx; `url` has no slash at its end, `trust` knows its certificate."""

    url: str
    trust: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a location leads, and the directives that set its request headers."""

    url: str
    headers: str


@contextlib.contextmanager
def nginx(folder: Path, locations: Mapping[str, Upstream], *, as_root: bool) -> Iterator[Nginx]:
    """nginx with a location `/NAME/` for each upstream; it strips the prefix."""
    port, authority = free_port(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(folder / "certificate.pem", append=number > 0)
    text = " ".join(
        _LOCATION.format(name=name, upstream=one.url, headers=one.headers) for name, one in locations.items()
    )
    path = folder / "nginx.conf"
    path.write_text(
        _CONFIGURATION.format(folder=folder, port=port, locations=text, user="user root;" if as_root else "")
    )
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    url = f"https://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(url, verify=trust).status_code == 404
        except httpx.TransportError:
            return False

    with ServerProcess([str(locate("nginx")), "-c", str(path), "-p", str(folder)], folder / "log") as process:
        process.wait_ready(answers)
        yield Nginx(url, trust)
