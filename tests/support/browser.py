"""A headless Chromium, driven by the WebDriver protocol: Debian's chromium and chromium-driver.

``make packages`` installs both; the protocol is JSON over HTTP, so nothing else is needed.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

_OPTIONS = {
    "goog:chromeOptions": {
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
    },
    "goog:loggingPrefs": {"browser": "ALL"},
}  # fmt: skip


class Browser:
    """One session: a page at a time, at a width in CSS pixels, light or dark."""

    def __init__(self, port: int) -> None:
        self._port = port
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": _OPTIONS}})
        self._session = f"/session/{session['sessionId']}"

    def open(self, page: Path, *, width: int, dark: bool) -> None:
        """Load a file anew; what it said before is forgotten."""
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._cdp("Emulation.setEmulatedMedia", features=[scheme])
        self.said()
        self._post("/url", url=page.absolute().as_uri())

    def run(self, script: str) -> Any:
        """What a function's body in JavaScript returns."""
        return self._post("/execute/sync", script=script, args=[])

    def said(self) -> list[str]:
        """Lines of the console since the last call: errors of the page, refused requests."""
        return [line["message"] for line in self._post("/se/log", type="browser")]

    def picture(self, *, whole: bool = True) -> bytes:
        """PNG of the page, by default down to its end."""
        shot = self._cdp("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        self._call("DELETE", self._session)

    def _cdp(self, command: str, **params: Any) -> Any:
        return self._post("/goog/cdp/execute", cmd=command, params=params)

    def _post(self, place: str, **body: Any) -> Any:
        return self._call("POST", self._session + place, body)

    def _call(self, method: str, place: str, body: object = None) -> Any:
        line = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            line.request(method, place, None if body is None else json.dumps(body))
            value = json.loads(line.getresponse().read())["value"]
        finally:
            line.close()
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{place}: {value['message']}")
        return value


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser until the end of the block; a test that needs one fails where there is none."""
    driver = shutil.which("chromedriver")
    assert driver, "no chromedriver: run 'make packages'"
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            shown = Browser(_port(process.stdout))
            yield shown
            shown.close()
        finally:
            process.terminate()


def _port(lines: Iterator[str]) -> int:
    """Where the driver says that it listens."""
    for line in lines:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise AssertionError("chromedriver did not start")
