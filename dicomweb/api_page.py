"""The OpenAPI document, and the same as a page that a browser shows without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import orjson

from dicomweb.deps import Call, service_root
from dicomweb.openapi import document
from dicomweb.reply import Header, Reply, whole

_HEADERS: list[Header] = [(b"cache-control", b"private, no-cache"), (b"vary", b"Authorization")]
_POLICY: Header = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'")
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem;color:#1b1f24}
h1{margin-bottom:0}code{font:0.9em ui-monospace,monospace}
details{border:1px solid #d5dae1;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer;display:flex;gap:.8rem;flex-wrap:wrap;align-items:baseline}
summary code{overflow-wrap:anywhere}
.method{font-weight:600;min-width:4.5rem}.GET{color:#0b6e4f}.POST{color:#0b4f9e}.DELETE{color:#a4262c}.OPTIONS{color:#666}
.what{color:#57606a;margin-left:auto}
table{border-collapse:collapse;width:100%;margin:.6rem 0}td,th{text-align:left;padding:.15rem .6rem .15rem 0;
vertical-align:top;border-bottom:1px solid #eceff2}th{font-weight:600}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e6e6}details{border-color:#333a42}
.what{color:#9aa4af}td,th{border-color:#2a3036}.GET{color:#4cc38a}.POST{color:#6cb2ff}.DELETE{color:#ff7b80}a{color:#6cb2ff}}
"""


def openapi(call: Call) -> Reply:
    """The document as JSON."""
    return whole(200, "application/json", orjson.dumps(_document(call)), list(_HEADERS))


def page(call: Call) -> Reply:
    """The document for people."""
    body = "".join(_page(_document(call), call.base)).encode()
    return whole(200, "text/html; charset=utf-8", body, [*_HEADERS, _POLICY])


def _document(call: Call) -> dict[str, Any]:
    settings = call.door.settings
    return document(settings, call.base, service_root(settings))


def _page(api: dict[str, Any], base: str) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield f"<title>DICOMweb bridge: resources</title><style>{_STYLE}</style><h1>Resources</h1>"
    yield f"<p>Service root <code>{escape(base)}</code> · as <a href='openapi.json'>OpenAPI 3.1</a></p>"
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield from _operation(path, method.upper(), operation)


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary><span class="method {method}">{method}</span>'
    yield f'<code>{escape(path)}</code><span class="what">{escape(operation["summary"])}</span></summary>'
    if operation["parameters"]:
        yield "<table><tr><th>Parameter<th>In<th>Meaning</tr>"
        for one in operation["parameters"]:
            needed = " (needed)" if one.get("required") else ""
            yield f"<tr><td><code>{escape(one['name'])}</code>{needed}<td>{one['in']}"
            yield f"<td>{escape(one['description'])}</tr>"
        yield "</table>"
    if "requestBody" in operation:
        yield f"<p>Body: {_types(operation['requestBody']['content'])}</p>"
    yield "<table><tr><th>Status<th>Meaning<th>Content</tr>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{status}<td>{escape(answer['description'])}<td>{_types(answer.get('content', {}))}</tr>"
    yield "</table></details>"


def _types(content: dict[str, Any]) -> str:
    return ", ".join(f"<code>{escape(kind)}</code>" for kind in content)
