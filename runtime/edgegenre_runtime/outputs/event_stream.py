"""Server-sent events of the page: every client has the latest answer at once, and then each as it comes."""

from __future__ import annotations

import base64
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event

from .records import event_record, result_record

__all__ = ["EventStream"]

_MAX_WAITING = 16  # parts that a client has not taken; what is older is left out
_HEARTBEAT_S = 10.0  # a comment, by which a client that is gone is noticed


def _part(name: str, record: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(record, ensure_ascii=False)}\n\n"


class EventStream:
    """Hands answers and events to any number of clients; a slow client loses the oldest and holds nobody up.

    Parameters
    ----------
    source
        Name of the source.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._clients: set[queue.Queue[str | None]] = set()
        self._latest: dict[str, str] = {}
        self._end_s = 0.0

    def result(self, result: LiveResult, counts: Mapping[str, int]) -> None:
        """Send an answer, the counts since the start, and the window that the network saw."""
        parts = {"counts": _part("counts", counts), "result": _part("result", result_record(result, self._source))}
        every_s, self._end_s = result.end_s - self._end_s, result.end_s
        window = self._window(result, every_s) if self._clients and not result.is_repeated else ""
        self._send(parts, window)

    def event(self, event: Event) -> None:
        """Send an event."""
        self._send({"event": _part("event", event_record(event, self._source))}, "")

    @staticmethod
    def _window(result: LiveResult, every_s: float) -> str:
        n_mels, width = result.cells.shape
        cells = base64.b64encode(result.cells.tobytes()).decode()
        about = {"n_mels": n_mels, "width": width, "every_s": every_s, "window_s": result.end_s - result.start_s}
        return _part("window", {"cells": cells, **about})

    def _send(self, parts: Mapping[str, str], more: str) -> None:
        with self._lock:
            self._latest.update(parts)
            for client in self._clients:
                self._put(client, "".join(parts.values()) + more)

    @staticmethod
    def _put(client: queue.Queue[str | None], part: str | None) -> None:
        if client.full():
            client.get_nowait()
        client.put_nowait(part)

    def follow(self) -> Iterator[str]:
        """Yield the parts for one client, until :meth:`close`."""
        client: queue.Queue[str | None] = queue.Queue(_MAX_WAITING)
        with self._lock:
            client.put_nowait("".join(self._latest.values()) or ":\n\n")
            self._clients.add(client)
        try:
            while True:
                try:
                    part = client.get(timeout=_HEARTBEAT_S)
                except queue.Empty:
                    part = ":\n\n"
                if part is None:
                    return
                yield part
        finally:
            with self._lock:
                self._clients.discard(client)

    def close(self) -> None:
        """End every client's stream."""
        with self._lock:
            for client in self._clients:
                self._put(client, None)
