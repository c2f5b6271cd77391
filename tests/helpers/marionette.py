"""Firefox by its own remote protocol (Marionette): JSON with its length before it, on loopback. No driver is needed."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Firefox:
    """A page of a running Firefox."""

    def __init__(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
                break
            assert time.monotonic() < deadline, "Firefox did not start"
            time.sleep(0.1)
        self._stream = self._socket.makefile("rb")
        self._read()
        self._number = 0
        self("WebDriver:NewSession", capabilities={"alwaysMatch": {"acceptInsecureCerts": False}})

    def __call__(self, name: str, **parameters: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(str(len(message)).encode() + b":" + message)
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def _read(self) -> Any:
        length = b""
        while (byte := self._stream.read(1)) != b":":
            assert byte, "Firefox ended"
            length += byte
        return json.loads(self._stream.read(int(length)))

    def go(self, address: str) -> None:
        self("WebDriver:Navigate", url=address)

    def run(self, script: str) -> Any:
        return self("WebDriver:ExecuteScript", script=script, args=[], sandbox=None)["value"]

    def choose(self, selector: str, file: Path) -> None:
        found = self("WebDriver:FindElement", using="css selector", value=selector)["value"]
        self("WebDriver:ElementSendKeys", id=found[_ELEMENT], text=str(file))

    def close(self) -> None:
        with contextlib.suppress(AssertionError, OSError):
            self("Marionette:Quit", flags=["eForceQuit"])
        self._stream.close()
        self._socket.close()


@contextlib.contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """A headless Firefox of its own profile, which asks nobody for anything at its start."""
    assert FIREFOX is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "marionette.port": port, "browser.shell.checkDefaultBrowser": False, "app.update.disabledForTesting": True,
        "datareporting.policy.dataSubmissionEnabled": False, "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False, "browser.safebrowsing.provider.mozilla.updateURL": "",
        "extensions.update.enabled": False, "services.settings.server": "http://127.0.0.1:9/",
    }  # fmt: skip
    profile.mkdir(parents=True, exist_ok=True)
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in settings.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = Firefox(port)
        try:
            yield page
        finally:
            page.close()
    finally:
        process.terminate()
        process.wait(30)
