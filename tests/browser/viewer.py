"""OHIF's built files on loopback, with a configuration that points at a DICOMweb service of another origin."""

from __future__ import annotations

import http.server
import json
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from tests.browser.serving import serving


def configuration(service: str) -> str:
    """`app-config.js`: one DICOMweb data source, everything but the addresses as OHIF ships it."""
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "dicomweb",
        "configuration": {
            "friendlyName": "bridge", "name": "bridge",
            "wadoUriRoot": service, "qidoRoot": service, "wadoRoot": service,
            "qidoSupportsIncludeField": True, "supportsReject": False, "supportsFuzzyMatching": True,
            "supportsWildcard": True, "imageRendering": "wadors", "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True, "staticWado": False, "singlepart": "bulkdata,video,pdf",
            "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
        },
    }  # fmt: skip
    settings = {
        "routerBasename": "/", "extensions": [], "modes": [], "customizationService": {}, "showStudyList": True,
        "maxNumberOfWebWorkers": 1, "showWarningMessageForCrossOrigin": False, "showCPUFallbackMessage": False,
        "showLoadingIndicator": True, "strictZSpacingForVolumeViewport": True, "groupEnabledModesFirst": True,
        "investigationalUseDialog": {"option": "never"}, "defaultDataSourceName": "dicomweb", "dataSources": [source],
        "maxNumRequests": {"interaction": 20, "thumbnail": 5, "prefetch": 5},
    }  # fmt: skip
    return f"window.config = {json.dumps(settings)};"


class _Files(http.server.SimpleHTTPRequestHandler):
    """Files as they are; any other path is the application's own and gets index.html."""

    config = b""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/app-config.js":
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(self.config)))
            self.end_headers()
            self.wfile.write(self.config)
            return
        if not (Path(self.directory) / path.lstrip("/")).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve(dist: Path, service: str) -> AbstractContextManager[str]:
    """The viewer's address, `http://127.0.0.1:port`."""
    handler = type("Files", (_Files,), {"config": configuration(service).encode()})
    return serving(handler, dist)
