"""A Chromium without a screen, spoken to through pipes by the DevTools protocol.

with Chromium(folder) as browser:
    page = browser.open(path, size=(1280, 800))
    page.key("ArrowRight")
    assert page.evaluate("document.title") == "memory.db" and not page.errors
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next((path for path in map(shutil.which, NAMES) if path), None)
CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35}


class Chromium:
    """One process; `open` loads a file in a page of its own."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for what it keeps."""
        (reads, self._out), (self._in, writes) = os.pipe(), os.pipe()
        # It takes 3 and 4: whatever these are here, they are put there in a shell.
        command = f'exec "$@" 3<&{reads} 4>&{writes}'
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
        flags += ("--no-first-run", "--hide-scrollbars", f"--user-data-dir={folder}", "about:blank")
        shell = ("bash", "-c", command, "chromium", FOUND, *flags)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(shell, pass_fds=(reads, writes), **quiet)
        os.close(reads)
        os.close(writes)
        self._number, self._left, self._pages = 0, b"", {}

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)

    def open(
        self,
        path: Path,
        size: tuple[int, int] = (1280, 800),
        ratio: float = 1.0,
        dark: bool = False,
        touch: bool = False,
        address: str = "",  # what follows #
    ) -> "Page":
        """A file in a window of `size` px, loaded whole."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for part in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{part}.enable")
        width, height = size
        page.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=ratio,
            mobile=touch,
        )
        page.ask("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.ask("Emulation.setEmulatedMedia", features=[scheme])
        page.ask("Page.navigate", url=f"{path.resolve().as_uri()}{address and '#'}{address}")
        page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def ask(self, method: str, session: str | None = None, **parameters: object) -> dict:
        """The answer to a command; AssertionError where it is an error or does not come."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            if page := self._pages.get(answer.get("sessionId")):
                page.note(answer)

    def _next(self, deadline: float) -> dict:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._in], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(self._in, 1 << 20) if ready else b""
            assert data, "Chromium does not answer"
            self._left += data
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)


class Page:
    """A loaded page; `errors` is what went wrong in it, `requests` what it asked for."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session
        self.errors, self.requests = [], []

    def ask(self, method: str, **parameters: object) -> dict:
        return self._browser.ask(method, self._session, **parameters)

    def note(self, event: dict) -> None:
        """Something happened in the page."""
        facts = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(facts["exceptionDetails"])
        elif event["method"] == "Log.entryAdded" and facts["entry"]["level"] in (
            "error",
            "warning",
        ):
            self.errors.append(facts["entry"])
        elif event["method"] == "Runtime.consoleAPICalled" and facts["type"] == "error":
            self.errors.append(facts)
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])

    def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression, which may be a promise."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"never: {expression}"
            time.sleep(0.02)

    def key(self, name: str) -> None:
        """Press a key, by its name or letter."""
        facts = {"key": name, "windowsVirtualKeyCode": CODES.get(name, ord(name[0].upper()))}
        facts |= {"text": name} if len(name) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **facts)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **facts)

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """touchStart, touchMove or touchEnd with fingers at `points`."""
        fingers = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]
        self.ask("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
