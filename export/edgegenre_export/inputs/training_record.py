"""What is known of a network's training, checked before an export needs minutes to find a gap in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgegenre_runtime.errors import ExportError

__all__ = ["check_record"]

_NUMBER = (int, float)
_METRICS: dict[str, type | tuple[type, ...]] = {
    "track_accuracy": _NUMBER,
    "track_accuracy_95": (list, tuple),
    "n_tracks": int,
    "command": str,
}


def check_record(meta: Mapping[str, Any], name: str) -> None:
    """Refuse a record that card and manifest cannot be written from.

    Parameters
    ----------
    meta
        How the network was trained: ``data``, ``limits``, ``license``, and ``metrics`` by part of the data.
    name
        The network's, for the message.

    Raises
    ------
    ExportError
        If it is not JSON-ready, or ``metrics`` lacks what the card reports.
    """
    try:
        json.dumps(dict(meta), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ExportError(
            f"the training record of {name} cannot be written as JSON ({error}): give plain values"
        ) from error
    metrics = meta.get("metrics", {})
    faults = [] if isinstance(metrics, Mapping) else ["metrics is no object"]
    for part, scores in metrics.items() if not faults else ():
        if not isinstance(scores, Mapping):
            faults.append(f"metrics.{part} is no object")
            continue
        faults += [f"metrics.{part}.{key}" for key, kind in _METRICS.items() if not isinstance(scores.get(key), kind)]
        interval = scores.get("track_accuracy_95")
        if isinstance(interval, (list, tuple)) and not (
            len(interval) == 2 and all(isinstance(end, _NUMBER) for end in interval)
        ):
            faults.append(f"metrics.{part}.track_accuracy_95")
    if faults:
        raise ExportError(
            f"the training record of {name} is damaged ({faults[0]} is missing or of another type): measure again with "
            "`edgegenre evaluate --record`"
        )
