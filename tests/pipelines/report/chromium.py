"""A headless Chromium, driven over a pipe by its DevTools protocol: no port, no driver, no network.

Messages are JSON, each ended by a NUL byte; the browser reads its file descriptor 3 and writes 4
(https://chromedevtools.github.io/devtools-protocol/).
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # a container's root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)
DEADLINE_S = 60

HAND_OVER = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Becomes the browser, with the pipes where it looks for them."""


def find_chromium() -> str:
    """The browser's program; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    return found


class Tab:
    """One open page and everything that it has complained about."""

    def __init__(self, wire: "_Wire") -> None:
        self._wire = wire
        self.complaints: list[str] = []
        target = wire.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attach = {"targetId": target, "flatten": True}
        self._session = wire.call("Target.attachToTarget", attach)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._wire.call(method, parameters or {}, self._session, self._hear)

    def open(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show a file at a width in CSS pixels, and wait until it is loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.call("Page.navigate", {"url": page.as_uri()})
        end = time.monotonic() + DEADLINE_S
        while self.evaluate("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < end, f"{page} did not load"

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, as JSON can say it."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go; `code` is its Windows virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            pressed = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", pressed)

    def screenshot(self, file: Path, whole: bool = False) -> None:
        """A PNG of what is in view, or of the whole page."""
        shot = self.call("Page.captureScreenshot", {"captureBeyondViewport": whole})
        file.write_bytes(base64.b64decode(shot["data"]))

    def _hear(self, event: dict[str, Any]) -> None:
        method, told = event["method"], event["params"]
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{told['type']}: {json.dumps(told['args'])}")
        elif method == "Log.entryAdded":
            self.complaints.append(json.dumps(told["entry"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {told['message']}")
        elif method == "Network.requestWillBeSent":
            self._note_request(told["request"]["url"])

    def _note_request(self, url: str) -> None:
        """Whatever is neither the file itself nor a picture in it was loaded from elsewhere."""
        if not url.startswith(("file:", "data:", "about:")):
            self.complaints.append(f"request: {url}")


class _Wire:
    """Calls in order, one at a time; events that come meanwhile go to the caller's ear."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer
        self._buffer = b""
        self._number = 0

    def call(self, method: str, parameters: Any, session: str = "", hear: Any = None) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._receive())
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            if hear and answer.get("sessionId") == session:
                hear(answer)

    def _receive(self) -> bytes:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reader], [], [], DEADLINE_S)
            assert ready, "the browser does not answer"
            read = os.read(self._reader, 1 << 20)
            assert read, "the browser has ended"
            self._buffer += read
        message, self._buffer = self._buffer.split(b"\0", 1)
        return message


@contextmanager
def open_chromium() -> Iterator[Tab]:
    """A browser with one tab and a profile of its own, until the block ends."""
    program = find_chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        reads, ours_out = os.pipe()
        ours_in, writes = os.pipe()
        flags = (*FLAGS, f"--user-data-dir={profile}", "about:blank")
        browser = subprocess.Popen(
            (sys.executable, "-S", "-c", HAND_OVER, str(reads), str(writes), program, *flags),
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        wire = _Wire(ours_in, ours_out)
        try:
            yield Tab(wire)
            wire.call("Browser.close", {})
        finally:
            browser.kill()
            browser.wait()
            os.close(ours_in)
            os.close(ours_out)
