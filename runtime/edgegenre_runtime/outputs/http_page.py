"""``--http``: a small status page and Prometheus metrics, on loopback unless another address is given."""

from __future__ import annotations

import html
import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency

from .records import event_record, result_record

__all__ = ["StatusPage", "parse_address"]

_PERCENTILES = ("0.5", "0.9", "0.99")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``:8080`` (loopback), ``8080``, ``0.0.0.0:8080`` or ``[::1]:8080``.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise UsageError(f"--http {text!r} is no address; give :8080 for this machine alone, or 0.0.0.0:8080 for all")
    return host.strip("[]") or "127.0.0.1", int(port)


class StatusPage:
    """Answers GET ``/``, ``/status.json`` and ``/metrics`` from one thread, one request at a time.

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
        self._counts = {"results": 0, "dropped_samples": 0, "skipped_windows": 0}
        pages = {"/": self._page, "/status.json": self._status, "/metrics": self._metrics}

        class Handler(_Handler):
            content = pages

        class Server(_Server):
            address_family = HTTPServer.address_family if ":" not in host else 10  # AF_INET6

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise UsageError(
                f"--http {address}: cannot listen there ({(error.strerror or str(error)).lower()}); take another port"
            ) from error
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
        """End the thread; a client that dribbles is left behind."""
        threading.Thread(target=self._server.shutdown, name="edgegenre-http-stop", daemon=True).start()
        self._thread.join(0.5)
        self._server.server_close()

    def _status(self) -> tuple[str, str]:
        status = {
            "live": self._is_live,
            **self._counts,
            "result": result_record(self._result, self._source) if self._result else None,
            "event": event_record(self._event, self._source) if self._event else None,
            "latency_ms": self._latency.percentiles_ms(),
        }
        return "application/json", json.dumps(status, ensure_ascii=False)

    def _page(self) -> tuple[str, str]:
        result = self._result
        label = html.escape(result.label) if result else "nothing heard yet"
        ranked = sorted(result.probabilities.items(), key=lambda item: -item[1]) if result else []
        rows = "".join(
            f"<tr><td>{html.escape(name)}<td><progress max=1 value={p:.3f}></progress><td>{p:.2f}" for name, p in ranked
        )
        level = f"{result.level_dbfs:.0f} dBFS" if result else "no level"
        counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self._counts.items())
        message = html.escape(self._event.message) if self._event else ""
        return "text/html", (
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>"
            "<meta name=viewport content='width=device-width'><title>edgegenre</title>"
            "<body style='font:16px sans-serif;max-width:30em;margin:2em auto'>"
            f"<h1>{label}</h1><p>{html.escape(self._source)}: {'live' if self._is_live else 'not live'}, {level}"
            f"<table>{rows}</table><p>{counts}<p>{message}<p><a href=/metrics>metrics</a> "
            "<a href=/status.json>JSON</a></html>"
        )

    def _metrics(self) -> tuple[str, str]:
        lines = ["# TYPE edgegenre_live gauge", f"edgegenre_live {int(self._is_live)}"]
        for name, count in self._counts.items():
            lines += [f"# TYPE edgegenre_{name}_total counter", f"edgegenre_{name}_total {count}"]
        result = self._result
        if result:
            lines += ["# TYPE edgegenre_level_dbfs gauge", f"edgegenre_level_dbfs {result.level_dbfs:.1f}"]
            lines += ["# TYPE edgegenre_captured_samples_total counter"]
            lines += [f"edgegenre_captured_samples_total {result.captured_samples}"]
            lines += ["# TYPE edgegenre_label gauge", f"edgegenre_label{{label={_quoted(result.label)}}} 1"]
            lines += ["# TYPE edgegenre_probability gauge"]
            lines += [f"edgegenre_probability{{genre={_quoted(g)}}} {p:.4f}" for g, p in result.probabilities.items()]
            lines += ["# TYPE edgegenre_latency_ms summary"]
            for stage, values in self._latency.percentiles_ms().items():
                for quantile, value in zip(_PERCENTILES, values, strict=True):
                    lines.append(f'edgegenre_latency_ms{{stage="{stage}",quantile="{quantile}"}} {value:.3f}')
        return "text/plain; version=0.0.4", "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Server(HTTPServer):
    """One that does not mind a client that goes."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went; everything else is a fault of ours and is printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers from ``content``: path to a function that returns type and text."""

    content: dict[str, Callable[[], tuple[str, str]]]
    timeout = 2.0  # seconds without a byte
    server_version, sys_version = "edgegenre", ""

    def do_GET(self) -> None:  # the base class's name for it
        """Answer a request."""
        page = self.content.get(self.path.partition("?")[0])
        if page is None:
            self.send_error(404)
            return
        kind, text = page()
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind if "charset" in kind else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Log nothing."""
