"""A Chromium to drive from tests, by the DevTools protocol over its pipe: no package and no port is needed.

https://chromedevtools.github.io/devtools-protocol; with ``--remote-debugging-pipe`` the browser reads JSON messages,
each ended by a zero byte, from file descriptor 3 and writes to 4.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PATIENCE = 120.0  # seconds: for a machine that has much else to do


class Page:
    """One page of a browser that is cut off from every network."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._session: str | None = None
        self._last = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def attach(self) -> None:
        """Open a page, and listen to what it asks for and what goes wrong in it."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.send("Network.emulateNetworkConditions", **offline)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for what it returns."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def size(self, width: int, height: int) -> None:
        """Make the window that large, in CSS pixels."""
        narrow = width < 600
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=narrow
        )

    def open(self, path: Path) -> None:
        """Load a file and wait until it says that all is drawn."""
        self.events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self.until("document.documentElement?.dataset.ready")

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript; what it throws is raised."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(str(done["exceptionDetails"].get("exception", {}).get("description", done)))
        return done["result"].get("value")

    def until(self, script: str) -> Any:
        """The value of an expression once it is true."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}")

    def press(self, key: str) -> None:
        """A key, as a person presses it."""
        codes = {
            "Enter": 13,
            "Escape": 27,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
            "Tab": 9,
        }
        code = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **code, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **code)

    def click(self, selector: str) -> None:
        """A click of the left button in the middle of the first such element, once it stands still there."""
        place = self.until(
            f"""(async () => {{ const it = document.querySelector({json.dumps(selector)});
            it.scrollIntoView({{block: "center", behavior: "instant"}});
            const middle = () => {{ const box = it.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2]; }};
            const [x, y] = middle();
            await new Promise((done) => setTimeout(done, 50));
            const still = middle().every((now, axis) => now === [x, y][axis]);
            return still && it.contains(document.elementFromPoint(x, y)) && [x, y]; }})()"""
        )
        at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def type(self, text: str) -> None:
        """Text, as typed into whatever has the focus."""
        self.send("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of all of the page."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def problems(self) -> list[str]:
        """What went wrong so far: errors of scripts, and what the page's policy forbade."""
        found = []
        for event in self.events:
            details = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(details["exceptionDetails"]))
            if event.get("method") == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
                found.append(details["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Every address asked for since the page was opened, pictures inside it left out."""
        sent = (e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent")
        return [url for url in sent if not url.startswith(("data:", "blob:"))]


@contextmanager
def browser(program: Path, profile: Path) -> Iterator[Page]:
    """A page of a headless browser with an empty profile."""
    to_browser, from_browser = os.pipe(), os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--remote-debugging-pipe", "--lang=en-GB", f"--user-data-dir={profile}"]
    # the shell puts the pipe where the browser looks for it, and then becomes the browser
    script = f'exec "$0" "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", script, str(program), *options],
        pass_fds=(to_browser[0], from_browser[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser[0])
    os.close(from_browser[1])
    try:
        page = Page(to_browser[1], from_browser[0])
        page.attach()
        yield page
    finally:
        process.terminate()
        process.wait(timeout=30)
        os.close(to_browser[1])
        os.close(from_browser[0])
