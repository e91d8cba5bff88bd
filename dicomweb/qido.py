"""QIDO-RS: the six search resources (PS3.18 §10.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from bridge.search import Fields, search
from dicomweb import multipart
from dicomweb.compression import compressed
from dicomweb.deps import Call
from dicomweb.negotiate import XML, document
from dicomweb.params import Target, parse
from dicomweb.reply import Header, Reply, whole
from dicomweb.xml import native_model
from storage.records import Level

_STUDY, _SERIES, _INSTANCE = Level.STUDY, Level.SERIES, Level.INSTANCE

# PS3.18 Tables 10.6.1-1 and 10.6.3-1 to -5: resource -> what comes back, whose default attributes it carries (Q7, Q28).
RESOURCES: dict[str, tuple[Level, frozenset[Level]]] = {
    "/studies": (_STUDY, frozenset({_STUDY})),
    "/series": (_SERIES, frozenset({_STUDY, _SERIES})),
    "/instances": (_INSTANCE, frozenset({_STUDY, _SERIES, _INSTANCE})),
    "/studies/{study}/series": (_SERIES, frozenset({_SERIES})),
    "/studies/{study}/instances": (_INSTANCE, frozenset({_SERIES, _INSTANCE})),
    "/studies/{study}/series/{series}/instances": (_INSTANCE, frozenset({_INSTANCE})),
}


def searcher(route: str) -> Callable[[Call], Reply]:
    """The work of one search resource."""
    level, returned = RESOURCES[route]

    def work(call: Call) -> Reply:
        return _search(call, Target(level=level, scope=call.scope(), returned=returned))

    return work


def _search(call: Call, target: Target) -> Reply:
    http = call.door.settings.http
    form = document(call.wishes())
    request = parse(
        call.query_string,
        target,
        site=call.principal.site,
        limit_default=http.search_limit_default,
        limit_max=http.search_limit_max,
    )
    page = search(call.door.archive, request.query, request.utc_offset)
    fields = Fields(target.returned, request.asked, request.everything)
    objects = call.door.answers.objects(page.found, target.level, fields)
    warnings = [*request.warnings]
    if page.remaining:
        warnings.append(f"There are {page.remaining} additional results that can be requested")  # §8.3.4.4.1
    headers = [(b"cache-control", b"private, no-cache"), (b"vary", b"Accept, Accept-Encoding, Authorization")]
    headers += _warning_headers(call.base, warnings)
    if not objects and http.empty_search == 204:
        return Reply(status=204, headers=headers)
    base = call.base.encode("latin-1")
    if form == XML:
        return _xml(objects, base, headers)
    body = (b"[" + b",".join(objects) + b"]").replace(b"\0", base)
    return compressed(call, form, body, headers)


def _xml(objects: Sequence[bytes], base: bytes, headers: list[Header]) -> Reply:
    """One part per result (§10.6.4)."""
    boundary = multipart.new_boundary()
    bodies = [native_model(orjson.loads(item.replace(b"\0", base))) for item in objects]
    parts = [multipart.Part(content_type=XML, chunks=[body], size_bytes=len(body)) for body in bodies]
    message = b"".join(multipart.write(parts, boundary))
    return whole(200, multipart.content_type(XML, boundary), message, headers)


def _warning_headers(base: str, texts: Sequence[str]) -> list[Header]:
    """`Warning: 299 <service>: text` (§8.3.4; G20); one header a text."""
    return [(b"warning", f"299 {base}: {text}".encode("latin-1")) for text in texts]
