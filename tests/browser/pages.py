"""Our own pages around other people's viewer libraries, bundled once and served on loopback; Chromium opens them."""

from __future__ import annotations

import http.server
import json
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.browser.serving import serving

HERE = Path(__file__).parent
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html; charset=utf-8"}
PAGE = """<!doctype html><meta charset="utf-8"><title>{name}</title>
<style>html, body, #view {{ margin: 0; width: 100%; height: 100%; background: #000 }}</style>
<div id="view"></div>{scripts}<script type="module" src="/{name}.js"></script>"""
# dicom-microscopy-viewer comes as one bundle that sets a global name, its decoders beside it.
SCRIPTS = {"microscopy": '<script src="/dicomMicroscopyViewer.bundle.min.js"></script>'}


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages that are being served; `open` shows one in a fresh browser."""

    address: str
    node: Path
    playwright_core: Path
    chromium: Path

    def open(self, name: str, parameters: Mapping[str, str], picture: Path, *, timeout_s: float = 150) -> Any:
        """What the page found (`window.found`), `failed` requests, `problems`; a screenshot lies in `picture`."""
        url = f"{self.address}/{name}.html?{urlencode(parameters)}"
        run = subprocess.run(
            [self.node, HERE / "page.js", self.playwright_core, self.chromium, url, picture],
            capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


def bundle(modules: Path, node: Path, folder: Path) -> None:
    """Bundle every page of `viewers/` into `folder`."""
    subprocess.run([node, HERE / "viewers" / "build.js", modules, folder], check=True, timeout=120)


class _Files(http.server.SimpleHTTPRequestHandler):
    modules = Path()
    bundles = Path()

    def do_GET(self) -> None:
        """A page, a bundle, or a file of a package."""
        path = urlsplit(self.path).path.lstrip("/")
        if path.endswith(".html"):
            name = path.removesuffix(".html")
            self._send(PAGE.format(name=name, scripts=SCRIPTS.get(name, "")).encode(), ".html")
        elif (file := self._file(path)) is not None:
            self._send(file.read_bytes(), file.suffix)
        else:
            self.send_error(404)

    def _file(self, path: str) -> Path | None:
        places = [
            self.bundles / path,
            self.modules / "dwv/dist" / path,
            self.modules / "dicom-microscopy-viewer/dist" / path,
            self.modules / "dicom-microscopy-viewer/dist/dynamic-import" / path.removeprefix("static/js/"),
            self._exported(path),
        ]
        return next((place for place in places if place.is_file()), None)

    def _exported(self, path: str) -> Path:
        """`@cornerstonejs/codec-charls/decodewasm`: a name that the package's own table of exports resolves."""
        scope, _, rest = path.partition("/")
        package, _, name = rest.partition("/")
        folder = self.modules / scope / package
        if not scope.startswith("@") or not (folder / "package.json").is_file():
            return Path("/nowhere")
        target = json.loads((folder / "package.json").read_text()).get("exports", {}).get(f"./{name}", name)
        while isinstance(target, dict):
            target = target.get("import") or target["default"]
        return folder / str(target)

    def _send(self, body: bytes, suffix: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve(modules: Path, bundles: Path) -> AbstractContextManager[str]:
    """The pages' address, `http://127.0.0.1:port`."""
    handler = type("Files", (_Files,), {"modules": modules, "bundles": bundles})
    return serving(handler, bundles)
