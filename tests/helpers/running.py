"""``edgegenre-run`` as a process of its own that answers in JSON lines, read as they come."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any


class Running:
    """A listening ``edgegenre-run``; ends with the ``with`` block."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, stdin: int | None = None) -> None:
        command = [sys.executable, "-m", "edgegenre_runtime.run", *map(str, arguments), "--json"]
        self.process = subprocess.Popen(
            command, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=stdin is None
        )
        self.records: list[dict[str, Any]] = []
        self.errors = ""
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_errors)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()

    @property
    def results(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == "result"]

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(record["event"], record["message"]) for record in self.records if record["kind"] == "event"]

    def wait_for(self, found: Callable[[], Any], timeout_s: float = 20.0) -> Any:
        """Wait until ``found()`` is true, looking after every line."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (value := found()):
                left = deadline - time.monotonic()
                assert left > 0, f"not within {timeout_s} s; {self.records[-3:]} {self.errors}"
                assert self._threads[0].is_alive() or found(), f"ended: {self.records[-3:]} {self.errors}"
                self._changed.wait(min(left, 0.2))
        return value

    def wait_for_event(self, kind: str, count: int = 1, timeout_s: float = 20.0) -> None:
        self.wait_for(lambda: [event[0] for event in self.events].count(kind) >= count, timeout_s)

    def stop(self, signal_number: int = 15) -> float:
        """Send a signal; returns the seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(signal_number)
        self.process.wait(20)
        for thread in self._threads:
            thread.join()
        return time.monotonic() - began

    def _read_out(self) -> None:
        for line in self.process.stdout:
            record = json.loads(line)
            with self._changed:
                self.records.append(record)
                self._changed.notify_all()

    def _read_errors(self) -> None:
        for line in self.process.stderr:
            self.errors += line if isinstance(line, str) else line.decode()
