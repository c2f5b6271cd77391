"""``--http``: a small status page, JSON, Prometheus metrics and a health check, on loopback by default."""

from __future__ import annotations

import html
import json
import re
import threading

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.printable import printable

from . import prometheus
from .http_server import Reply, StatusServer
from .records import event_record, result_record

__all__ = ["StatusPage", "parse_address"]

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
    """Answers GET and HEAD of ``/``, ``/status.json``, ``/metrics`` and ``/healthz``.

    Parameters
    ----------
    address
        As in :func:`parse_address`.
    source
        Name of the source.
    latency
        Where the percentiles come from.

    Attributes
    ----------
    url
        Where it is.

    Raises
    ------
    UsageError
        If the port is in use or the address is not this machine's.
    """

    def __init__(self, address: str, source: str, latency: Latency) -> None:
        host, port = parse_address(address)
        self.name = f"status page {address}"
        self._source, self._latency = source, latency
        self._result: LiveResult | None = None
        self._event: Event | None = None
        self._is_live = False
        self._counts = dict.fromkeys(_COUNTERS, 0)
        pages = {"/": self._page, "/status.json": self._status, "/metrics": self._metrics, "/healthz": self._health}
        try:
            self._server = StatusServer((host, port), pages)
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

    def event(self, event: Event) -> None:
        """Take an event."""
        self._event = event
        if event.kind in ("live", "lost", "ended"):
            self._is_live = event.kind == "live"

    def close(self) -> None:
        """End the server; the threads of slow clients are left behind."""
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

    def _page(self) -> Reply:
        result = self._result
        label = _html(result.label) if result else "no answer yet"
        ranked = sorted(result.probabilities.items(), key=lambda item: -item[1]) if result else []
        rows = "".join(
            f"<tr><td>{_html(name)}<td><progress max=1 value={p:.3f}></progress><td>{p:.2f}" for name, p in ranked
        )
        level = f"{result.level_dbfs:.0f} dBFS" if result else "no level"
        counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self._counts.items())
        message = _html(self._event.message) if self._event else ""
        return (
            200,
            "text/html",
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>"
            "<meta name=viewport content='width=device-width'><title>edgegenre</title>"
            "<body style='font:16px sans-serif;max-width:30em;margin:2em auto'>"
            f"<h1>{label}</h1><p>{_html(self._source)}: {'live' if self._is_live else 'not live'}, {level}"
            f"<table>{rows}</table><p>{counts}<p>{message}<p><a href=/metrics>metrics</a> "
            "<a href=/status.json>JSON</a></html>",
        )

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
                "edgegenre_label", gauge, "the latest answer, as a label", [({"label": result.label}, 1)]
            ),
            *prometheus.family("edgegenre_probability", gauge, "smoothed probability of each genre", genres),
            *prometheus.family(
                "edgegenre_latency_ms", "summary", "time by stage, over the latest 4096 answers", quantiles
            ),
        ]


def _html(text: str) -> str:
    return html.escape(printable(text))
