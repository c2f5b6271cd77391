"""One answer or event as a JSON object: the schema of docs/runtime.md."""

from __future__ import annotations

import datetime
import json
from typing import Any

from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event

__all__ = ["as_line", "event_record", "result_record", "utc"]


def utc(unix_s: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def result_record(result: LiveResult, source: str) -> dict[str, Any]:
    """Return an answer's JSON object."""
    return {
        "kind": "result",
        "time": utc(result.unix_s),
        "source": source,
        "start_s": round(result.start_s, 3),
        "end_s": round(result.end_s, 3),
        "label": result.label,
        "probabilities": {label: round(p, 4) for label, p in result.probabilities.items()},
        "level_dbfs": round(result.level_dbfs, 1),
        "rate_hz": result.rate_hz,
        "captured_samples": result.captured_samples,
        "dropped_samples": result.dropped_samples,
        "skipped_windows": result.skipped_windows,
        "is_repeated": result.is_repeated,
        "capture_ms": round(result.capture_ms, 3),
        "mel_ms": round(result.mel_ms, 3),
        "network_ms": round(result.network_ms, 3),
    }


def event_record(event: Event, source: str) -> dict[str, Any]:
    """Return an event's JSON object."""
    return {
        "kind": "event",
        "time": utc(event.unix_s),
        "source": source,
        "event": event.kind,
        "message": event.message,
    }


def as_line(record: dict[str, Any]) -> str:
    """Return a JSON object on one line, with its end."""
    return json.dumps(record, ensure_ascii=False) + "\n"
