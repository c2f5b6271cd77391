"""The web page in a real browser: a static server on loopback, and Debian's Chromium by Playwright."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright

from edgegenre_runtime import GenreClassifier

CHROMIUM = shutil.which("chromium")
# what was announced, but for the frames themselves: hours of them would be the test's memory, not the page's
COLLECT = """globalThis.seen = [];
document.addEventListener("edgegenre", ({ detail }) => seen.push({ ...detail, frames: detail.frames?.length }));"""
_QUIET = ("--disable-gpu", "--disable-component-update", "--disable-background-networking", "--no-sandbox")


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012  # the base class's
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json",
    }  # fmt: skip

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path, port: int = 0) -> Iterator[int]:
    """Serve a folder on loopback; yields the port."""
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", port), functools.partial(_Handler, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def chromium(
    playwright: Playwright, profile: Path, *options: str, microphone: Path | None = None
) -> Iterator[BrowserContext]:
    """A Chromium with a fake microphone that plays a WAV file, or with none."""
    more = [*_QUIET, *options]
    if microphone is not None:
        more += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        more += [f"--use-file-for-fake-audio-capture={microphone}"]
    started = playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, headless=True, args=more)
    started.add_init_script(COLLECT)
    try:
        yield started
    finally:
        started.close()


class Listening:
    """A page and what it announced."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.wait("seen.some((m) => m.ready || m.failed)")

    def wait(self, condition: str, timeout_s: float = 30) -> None:
        """Wait for a JavaScript expression; the page's policy forbids Playwright's own way, which is an eval."""
        end = time.monotonic() + timeout_s
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, (condition, self.problem, self.errors)
            self.page.wait_for_timeout(30)

    def read(self, file: Path, timeout_s: float = 60) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Give it a file; returns the answers and the summary, None if it failed."""
        self.page.evaluate("seen.length = 0")
        self.page.set_input_files("#file", file)
        self.wait("seen.some((m) => m.ended || m.failed)", timeout_s)
        ended = self.page.evaluate("seen.find((m) => m.ended)?.ended ?? null")
        return self.answers, ended and ended["summary"]

    @property
    def answers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("seen.filter((m) => m.answer).map((m) => m.answer)")
        return found

    @property
    def problem(self) -> str:
        return self.page.inner_text("#problem")


def same_answers(listening: Listening, classifier: GenreClassifier, path: Path, tolerance: float = 1e-3) -> float:
    """Compare a file's windows with edgegenre-run's; returns the largest difference of a probability."""
    expected = classifier.predict_file(path)
    answers, summary = listening.read(path)
    assert listening.problem == ""
    assert len(answers) == len(expected.windows)
    worst = 0.0
    for answer, window in zip(answers, expected.windows, strict=True):
        assert (answer["label"], answer["is_repeated"]) == (window.label, window.is_repeated)
        assert answer["start_s"] == pytest.approx(window.start_s)
        assert answer["end_s"] == pytest.approx(window.end_s)
        differences = [abs(answer["probabilities"][label] - p) for label, p in window.probabilities.items()]
        worst = max(worst, *differences, 0.0)
    assert summary["label"] == expected.label
    assert worst <= tolerance
    return worst
