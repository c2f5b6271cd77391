"""Answers and events as JSON objects, one schema for files and for listening: ``records.schema.json`` beside this file.

Every object carries ``schema``, the version of the schema. A field is only ever added within a version; one that is
removed or changes its meaning makes a new one.
"""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.network.bundle import Bundle
from edgegenre_runtime.network.classifier import Prediction
from edgegenre_runtime.printable import printable

__all__ = ["SCHEMA_VERSION", "bundle_record", "event_record", "json_line", "prediction_record", "result_record", "utc"]

SCHEMA_VERSION = 1


def utc(unix_s: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _record(kind: str, unix_s: float, source: str) -> dict[str, Any]:
    return {"schema": SCHEMA_VERSION, "kind": kind, "time": utc(unix_s), "source": printable(source)}


def _answer(result: LiveResult | Prediction) -> dict[str, Any]:
    return {
        "start_s": round(result.start_s, 3),
        "end_s": round(result.end_s, 3),
        "label": result.label,
        **({} if result.labels is None else {"labels": list(result.labels)}),
        "probabilities": {label: round(p, 4) for label, p in result.probabilities.items()},
        "dropped_samples": result.dropped_samples,
        "is_repeated": result.is_repeated,
        "mel_ms": round(result.mel_ms, 3),
        "network_ms": round(result.network_ms, 3),
    }


def prediction_record(prediction: Prediction, source: str) -> dict[str, Any]:
    """Return the JSON object of one window of a file, with its embedding if it has one."""
    return _record("result", time.time(), source) | _answer(prediction) | _embedding(prediction)


def _embedding(result: LiveResult | Prediction) -> dict[str, Any]:
    if result.embedding is None:
        return {}
    return {"embedding": [round(value, 5) for value in result.embedding.tolist()]}


def result_record(result: LiveResult, source: str, *, embedding: bool = False) -> dict[str, Any]:
    """Return an answer's JSON object while listening: that of a file's window, and what only a live source has.

    The embedding is for standard output: logs, brokers and pages would be filled with it.
    """
    return {
        **_record("result", result.unix_s, source),
        **_answer(result),
        "level_dbfs": round(result.level_dbfs, 1),
        "rate_hz": result.rate_hz,
        "captured_samples": result.captured_samples,
        "skipped_windows": result.skipped_windows,
        "capture_ms": round(result.capture_ms, 3),
        **(_embedding(result) if embedding else {}),
    }


def event_record(event: Event, source: str) -> dict[str, Any]:
    """Return an event's JSON object."""
    return _record("event", event.unix_s, source) | {"event": event.kind, "message": printable(event.message)}


def bundle_record(bundle: Bundle) -> dict[str, Any]:
    """Return which release a device runs; one that was never signed has its hash for a version."""
    name, version = printable(bundle.root.name), bundle.digest[:12]
    if bundle.release is not None:
        name, version = bundle.release.name, str(bundle.release.version)
    return {"name": name, "version": version, "sha256": bundle.digest, "signed_by": bundle.signed_by or None}


def json_line(record: dict[str, Any]) -> str:
    """Return a JSON object on one line, with its end."""
    return json.dumps(record, ensure_ascii=False) + "\n"
