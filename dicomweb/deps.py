"""What a request may use: the door's shared parts, and one call's principal, reference, base URL and headers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bridge.access import Gate, Principal
from bridge.archive import Archive
from bridge.errors import InvalidRequest
from bridge.kept import Kept
from bridge.render import Render
from bridge.render.thumbnails import Thumbnails
from bridge.retrieve import Retrieve
from bridge.search import Answers
from bridge.settings import Settings
from dicomweb.negotiate import Wish, members
from dicomweb.params import parse_pairs
from dicomweb.proxies import Proxies
from storage.keys import is_uid
from storage.records import Origin, ResourceRef


@dataclass(slots=True, kw_only=True)
class Door:
    """The parts that all requests of one process share."""

    archive: Archive
    settings: Settings
    gate: Gate
    retrieve: Retrieve
    render: Render
    thumbnails: Thumbnails
    answers: Answers
    bodies: Kept
    proxies: Proxies
    pool: ThreadPoolExecutor
    uploads: ThreadPoolExecutor  # for requests with a body: they wait for their senders
    ingests: ThreadPoolExecutor  # for the instances in them

    def close(self) -> None:
        """Let running calls end, stop the codec workers. The archive stays open: its opener closes it."""
        self.uploads.shutdown(wait=True, cancel_futures=True)
        self.ingests.shutdown(wait=True)
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.retrieve.close()


def open_door(archive: Archive, settings: Settings) -> Door:
    """A door on an open archive."""
    http = settings.http
    retrieve = Retrieve(archive)
    render = Render(retrieve, settings)
    return Door(
        archive=archive,
        settings=settings,
        gate=Gate(archive),
        retrieve=retrieve,
        render=render,
        thumbnails=Thumbnails(archive, retrieve, render),
        answers=Answers(archive, http.search_cache_bytes),
        bodies=Kept(http.metadata_cache_bytes),
        proxies=Proxies(http.trusted_proxies, http.public_url, service_root(settings)),
        pool=ThreadPoolExecutor(http.threads, thread_name_prefix="dicomweb"),
        ingests=ThreadPoolExecutor(http.ingest_threads, thread_name_prefix="ingest"),
        uploads=ThreadPoolExecutor(http.uploads, thread_name_prefix="upload"),
    )


def service_root(settings: Settings) -> str:
    """The path of the service root: a slash before, none behind, or empty."""
    root = settings.http.root.strip("/")
    return f"/{root}" if root else ""


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, read once. Header names are in lower case, repeated ones joined by a comma.

    `body` gives the request's body in chunks, once; it is empty for methods that have none.
    """

    door: Door
    method: str
    path: dict[str, str]
    query_string: str
    headers: dict[str, str]
    peer: str
    scheme: str
    server: tuple[str, int | None] | None
    principal: Principal = field(init=False)
    pairs: list[tuple[str, str]] | None = None
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def authenticate(self) -> None:
        """Find the principal. Raises Unauthenticated."""
        scheme, _, secret = self.headers.get("authorization", "").partition(" ")
        bearer = secret.strip() if scheme.lower() == "bearer" else None
        self.principal = self.door.gate.authenticate(bearer, self.address)

    @property
    def address(self) -> str:
        """The caller's own address, also behind trusted proxies."""
        return self.door.proxies.client(self.peer, self.headers)

    @property
    def base(self) -> str:
        """The service root as the caller sees it."""
        return self.door.proxies.base(self.peer, self.scheme, self.server, self.headers)

    @property
    def origin(self) -> Origin:
        """Who asks, for the audit trail."""
        return Origin(door="HTTP", name=self.principal.name, address=self.address)

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter. Raises InvalidRequest for a query string that cannot be read."""
        if not self.query_string:
            return None
        if self.pairs is None:
            self.pairs = parse_pairs(self.query_string)
        return next((value for key, value in self.pairs if key == name), None)

    def wishes(self) -> tuple[Wish, ...]:
        """What the caller accepts, best first. Raises NotAcceptable or InvalidRequest."""
        charset = self.parameter("charset")
        if charset is not None and charset.lower() not in ("utf-8", "utf8"):
            raise InvalidRequest("charset may only be utf-8 (PS3.18 section 8.3.3.2)")
        strict = self.door.settings.http.strict_accept
        return members(self.headers.get("accept"), self.parameter("accept"), strict=strict)

    def ref(self) -> ResourceRef:
        """The study, series or instance that the path names, in the caller's site. Raises InvalidRequest."""
        strict = self.door.settings.ingest.strict_uids
        for name in ("study", "series", "instance"):
            if name in self.path and not is_uid(self.path[name], strict=strict):
                raise InvalidRequest(f"the {name} in the path is not a UID")
        return ResourceRef(self.principal.site, self.path["study"], self.path.get("series"), self.path.get("instance"))

    def scope(self) -> ResourceRef | None:
        """As `ref`, None where the path names no study."""
        return self.ref() if "study" in self.path else None
