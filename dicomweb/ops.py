"""For machines and curious people: liveness, readiness, metrics, and a page that says what this is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from html import escape

import orjson

from bridge import metrics
from bridge.archive import HOT
from dicomweb.deps import Call, service_root
from dicomweb.reply import Reply, whole
from storage.errors import ObjectNotFound, StorageError

_JSON = "application/json"
_NO_SUCH_KEY = "health/probe"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>DICOMweb bridge</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>
<h1>DICOMweb bridge</h1>
<p>This server keeps medical images and answers DICOMweb requests. Point a viewer at</p>
<p><code>{base}</code></p>
<p>For example <a href="{base}/studies?limit=10">{base}/studies?limit=10</a>.</p>
<p>All <a href="{origin}/api">resources</a>, also as an <a href="{origin}/openapi.json">OpenAPI document</a>.</p>
"""


def health(_call: Call) -> Reply:
    """200 while the process can answer at all."""
    return whole(200, _JSON, b'{"status":"alive"}', [(b"cache-control", b"no-store")])


def ready(call: Call) -> Reply:
    """200 when the index answers and instances can be taken; 503 with what is wrong otherwise."""
    archive = call.door.archive
    checks = {
        "index": _state(archive.index.ping),
        "store": _state(lambda: _look_up_nothing(call)),
        "landing": "ok" if archive.landing_has_room(0) else "off or full",
        "disk": "ok" if archive.has_free_space(0) else "below storage.free_space_reserve_bytes",
    }
    is_ready = checks["index"] == checks["disk"] == "ok" and "ok" in (checks["store"], checks["landing"])
    body = orjson.dumps({"status": "ready" if is_ready else "not ready", "checks": checks})
    return whole(200 if is_ready else 503, _JSON, body, [(b"cache-control", b"no-store")])


def exposition(call: Call) -> Reply:
    """Prometheus text of all processes."""
    body = metrics.exposition(call.door.archive.index.tally())
    return whole(200, "text/plain; version=0.0.4; charset=utf-8", body, [(b"cache-control", b"no-store")])


def front_page(call: Call) -> Reply:
    """What this is and where the service root is."""
    origin = call.base.removesuffix(service_root(call.door.settings))
    page = _PAGE.format(base=escape(call.base, quote=True), origin=escape(origin, quote=True))
    return whole(200, "text/html; charset=utf-8", page.encode(), [(b"cache-control", b"no-cache")])


def _look_up_nothing(call: Call) -> None:
    """One cheap request to the store; that there is no such object is the right answer."""
    with contextlib.suppress(ObjectNotFound):
        call.door.archive.stores[HOT].stat(_NO_SUCH_KEY)


def _state(check: Callable[[], object]) -> str:
    try:
        check()
    except StorageError as error:
        return str(error) or type(error).__name__
    return "ok"
