"""``--http``: the web page with this device's answers, JSON, Prometheus metrics and a health check, on loopback."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.printable import printable
from edgegenre_runtime.web.page import DEVICE_FILES, page_facts, page_file

from . import prometheus
from .event_stream import EventStream
from .http_server import Reply, StatusServer
from .records import event_record, result_record

__all__ = ["StatusPage", "parse_address"]

_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
_PERCENTILES = ("0.5", "0.9", "0.99")
_COUNTERS = {
    "results": "answers since the start",
    "dropped_samples": "samples of the source that were lost",
    "skipped_windows": "windows left out because the processing was behind",
}
_ADDRESS = re.compile(r"(?:(?P<host>[^\s:\[\]/]*|\[[0-9A-Fa-f:.]+\]):)?(?P<port>[0-9]{1,5})")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``:8080`` (loopback), ``8080``, ``0.0.0.0:8080`` or ``[::1]:8080``.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise UsageError(
            f"--http {text!r} is no address; give :8080 for this machine alone, 0.0.0.0:8080 for the whole network, or "
            "an IPv6 address in brackets, [::1]:8080"
        )
    return (found["host"] or "").strip("[]") or "127.0.0.1", int(found["port"])


class StatusPage:
    """Answers GET and HEAD of ``/`` with its files, ``/events``, ``/status.json``, ``/metrics`` and ``/healthz``.

    Parameters
    ----------
    address
        As in :func:`parse_address`.
    source
        Name of the source.
    latency
        Where the percentiles come from.
    labels
        The classes, in their order.

    Attributes
    ----------
    url
        Where it is.

    Raises
    ------
    UsageError
        If the port is in use or the address is not this machine's.
    """

    def __init__(self, address: str, source: str, latency: Latency, labels: Sequence[str]) -> None:
        host, port = parse_address(address)
        self.name = f"status page {address}"
        self._source, self._latency = source, latency
        self._result: LiveResult | None = None
        self._event: Event | None = None
        self._is_live = False
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._stream = EventStream(source)
        facts = page_facts(tuple(labels), device={"name": printable(source)})
        pages: dict[str, Callable[[], Reply]] = {
            "/bundle.json": lambda: (200, "application/json", facts),
            "/status.json": self._status,
            "/metrics": self._metrics,
            "/healthz": self._health,
        }
        pages |= {f"/{name}": _file_reply(name) for name in DEVICE_FILES}
        pages["/"] = pages["/index.html"]
        try:
            self._server = StatusServer((host, port), pages, {"/events": self._stream.follow})
        except (OSError, UnicodeError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            advice = "ports below 1024 need root" if isinstance(error, PermissionError) else "take another port"
            raise UsageError(f"--http {address}: cannot listen there ({reason}); {advice}") from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="edgegenre-http", daemon=True
        )
        self._thread.start()

    def result(self, result: LiveResult) -> None:
        """Take an answer."""
        self._result, self._is_live = result, True
        self._counts["results"] += 1
        self._counts["dropped_samples"] += result.dropped_samples
        self._counts["skipped_windows"] += result.skipped_windows
        self._stream.result(result, self._counts)

    def event(self, event: Event) -> None:
        """Take an event."""
        self._event = event
        if event.kind in ("live", "lost", "ended"):
            self._is_live = event.kind == "live"
        self._stream.event(event)

    def close(self) -> None:
        """End the server; the threads of slow clients are left behind."""
        self._stream.close()
        threading.Thread(target=self._server.shutdown, name="edgegenre-http-stop", daemon=True).start()
        self._thread.join(0.5)
        self._server.server_close()

    def _health(self) -> Reply:
        """Return 200 while samples arrive, else 503."""
        return (200, "text/plain", "ok\n") if self._is_live else (503, "text/plain", "no samples arrive\n")

    def _status(self) -> Reply:
        status = {
            "live": self._is_live,
            **self._counts,
            "result": result_record(self._result, self._source) if self._result else None,
            "event": event_record(self._event, self._source) if self._event else None,
            "latency_ms": self._latency.percentiles_ms(),
        }
        return 200, "application/json", json.dumps(status, ensure_ascii=False)

    def _metrics(self) -> Reply:
        lines = prometheus.family(
            "edgegenre_live", "gauge", "whether samples of the source arrive", [({}, int(self._is_live))]
        )
        for name, count in self._counts.items():
            lines += prometheus.family(f"edgegenre_{name}_total", "counter", _COUNTERS[name], [({}, count)])
        if self._result:
            lines += self._result_metrics(self._result)
        return 200, prometheus.CONTENT_TYPE, "\n".join(lines) + "\n"

    def _result_metrics(self, result: LiveResult) -> list[str]:
        quantiles = [
            ({"stage": stage, "quantile": quantile}, round(value, 3))
            for stage, values in self._latency.percentiles_ms().items()
            for quantile, value in zip(_PERCENTILES, values, strict=True)
        ]
        genres = [({"genre": genre}, round(p, 4)) for genre, p in result.probabilities.items()]
        gauge = "gauge"
        return [
            *prometheus.family(
                "edgegenre_level_dbfs", gauge, "level, RMS against full scale", [({}, round(result.level_dbfs, 1))]
            ),
            *prometheus.family(
                "edgegenre_captured_samples_total", "counter", "samples processed", [({}, result.captured_samples)]
            ),
            *prometheus.family(
                "edgegenre_label",
                gauge,
                "the latest answer, as a label; several where the bundle knows several at a time",
                [({"label": label}, 1) for label in result.labels or (result.label,)],
            ),
            *prometheus.family("edgegenre_probability", gauge, "smoothed probability of each genre", genres),
            *prometheus.family(
                "edgegenre_latency_ms", "summary", "time by stage, over the latest 4096 answers", quantiles
            ),
        ]


def _file_reply(name: str) -> Callable[[], Reply]:
    """Return a function that makes the reply of a file of the page, read once."""
    kind, content = _KINDS[name.rpartition(".")[2]], page_file(name)
    return lambda: (200, kind, content)
