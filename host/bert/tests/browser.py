"""A headless Chromium, driven by its DevTools protocol over two pipes: what a page shows, and what goes wrong in it."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT_S = 60.0


def find() -> str:
    """The browser in `GPSIMD_BROWSER` or on the path; without one, the test is skipped."""
    named = os.environ.get("GPSIMD_BROWSER")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(
            f"needs Chromium: found none of {', '.join(NAMES)} on PATH; install it, or name it in GPSIMD_BROWSER"
        )
    return found


class Browser:
    """One page in a browser of its own."""

    def __init__(self, profile: Path):
        """`profile`: an empty folder."""
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        command = [find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        # The protocol's descriptors are 3 and 4.
        redirected = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirected, "-", *command], pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL
        )
        for descriptor in (to_browser, from_browser):
            os.close(descriptor)
        self._buffer, self._number, self._session = b"", 0, None
        self.events: list[dict] = []

    def __enter__(self) -> "Browser":
        [page] = [one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, **parameters) -> dict:
        """The result of a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], TIMEOUT_S)
            data = os.read(self._read, 1 << 16) if ready else b""
            assert data, "the browser has ended, or does not answer"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def evaluate(self, expression: str):
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression: str):
        """The value of `expression` once it is true."""
        end = time.monotonic() + TIMEOUT_S
        # An element comes as an empty object.
        while (value := self.evaluate(expression)) in (None, False, ""):
            assert time.monotonic() < end, f"{expression} is still {value!r} after {TIMEOUT_S:g} s"
            time.sleep(0.05)
        return value

    def open(self, url: str):
        """Goes to a page and waits for it."""
        self.call("Page.navigate", url=url)
        self.until(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def press(self, key: str, *, control: bool = False):
        """Presses and releases a key."""
        codes = {"Enter": 13, "Tab": 9}
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                modifiers=2 if control else 0,
            )

    def accessible(self) -> set[tuple[str, str]]:
        """Role and name of everything that a screen reader meets."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]}

    def complaints(self) -> list[str]:
        """Errors of scripts, and what the browser logged: violations of the page's policy are among it."""
        self.evaluate("0")
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in kinds]

    def requested(self) -> set[str]:
        """The addresses that were asked for."""
        asked = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return {one["request"]["url"] for one in asked}

    def screenshot(self, path: Path):
        """Writes what is to be seen, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))
