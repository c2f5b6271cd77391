"""The result of a bench: one JSON document, its shape, and what it must be to be believed. See docs/benchmarks.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.network.bundle import Bundle
from edgegenre_runtime.network.golden import golden_key, read_golden

from .device_profiles import device_names
from .json_schema import check

__all__ = [
    "FORMAT_VERSION",
    "MODEL",
    "bundle_id",
    "check_bundle",
    "describe_bundle",
    "golden_report",
    "read_result",
    "replay_golden",
    "stage_of",
    "write_result",
]

FORMAT_VERSION = 2
MODEL = "model_int8.tflite"

_TIMING = {
    "stage": str,
    "threads": int,
    "repeats": int,
    "least_ms": float,
    "p50_ms": float,
    "p90_ms": float,
    "p99_ms": float,
}
_STATE = {
    "governor": (str, None),
    "clock_mhz": (float, None),
    "temperature_c": (float, None),
    "throttled": (str, None),
    "load_1min": (float, None),
}
_BUNDLE = {
    "id": str,
    "model": str,
    "recipe": str,
    "spec": str,
    "spec_hash": str,
    "window_s": float,
    "macs": int,
    "files": {str: int},
}
_ACCURACY = {
    "data": str,
    "data_id": str,
    "part": str,
    "n_tracks": int,
    "n_windows": int,
    "track_accuracy": float,
    "track_accuracy_95": [float],
    "window_accuracy": float,
    "wall_s": float,
}
_PEER = {"name": str, "mel": float, "network": float, "window": float, "audio_s": float}
_MEASURED: dict[str, Any] = {
    "plan": str,
    "machine": {
        "architecture": str,
        "model": (str, None),
        "cpu": (str, None),
        "cores": int,
        "ram_mb": (float, None),
        "system": str,
        "python": str,
    },
    "versions": {str: str},
    "before": _STATE,
    "after": _STATE,
    "stages": [_TIMING],
    "windows_per_s": float,
    "stream": {"audio_s": float, "wall_s": float, "real_time_factor": float},
    "cold_start": {"processes": int, "imports_ms": float, "load_ms": float, "first_answer_ms": float},
    "rss_mb": float,
    "accuracy": (_ACCURACY, None),
    "peers_ms": [_PEER],
    "growth": [{"axis": str, "value": int, "audio_s": float, "wall_s": float, "rss_mb": float}],
}
_EMULATED: dict[str, Any] = {
    "emulator": {"program": str, "cpu": str, "note": str, "host": str},
    "parity": {
        "windows": int,
        "clips": int,
        "music": str,
        "frontend_differs": int,
        "network_max_lsb": int,
        "top1_differs": int,
        "has_network": bool,
    },
    "counts": [{"stage": str, "instructions": int, "spread": float, "runs": int}],
    "peers_instructions": [_PEER],
    "limit": {
        "macs": int,
        "macs_per_instruction": int,
        "instructions": int,
        "counted_over_limit": (float, None),
    },
    "estimate": {
        "instructions_per_cycle": float,
        "clock_mhz": float,
        "window_ms": float,
        "real_time_factor": float,
        "note": str,
    },
}
_PARITY: dict[str, Any] = {
    "data": str,
    "n_windows": int,
    "n_clips": int,
    "rows": [
        {
            "implementation": str,
            "why_not": str,
            "windows_agree": float,
            "clips_agree": int,
            "changed": [str],
            "max_lsb": (int, None),
            "max_probability_difference": float,
            "clips_right": (int, None),
        }
    ],
}
_COMMON: dict[str, Any] = {
    "format": str,
    "format_version": int,
    "kind": str,
    "device": str,
    "made_at": str,
    "command": str,
    "bundle": _BUNDLE,
    "golden": {"mel_differs": int, "mel_digest": str, "network_max_lsb": int, "outputs": [[int]]},
}


def bundle_id(bundle: Bundle) -> str:
    """Return the hash of a bundle: SHA-256 over names and SHA-256 of the files in its manifest."""
    lines = "".join(f"{name} {entry['sha256']}\n" for name, entry in sorted(bundle.manifest["files"].items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def describe_bundle(bundle: Bundle, macs: int) -> dict[str, Any]:
    """Return what a result says of its bundle; ``macs`` are the multiply-adds of a window."""
    manifest = bundle.manifest
    return {
        "id": bundle_id(bundle),
        "model": str(manifest.get("model", {}).get("name", "unknown")),
        "recipe": str(manifest.get("recipe", "unknown")),
        "spec": bundle.tables.spec.name,
        "spec_hash": bundle.spec_hash,
        "window_s": round(bundle.tables.spec.window_s, 6),
        "macs": macs,
        "files": {name: entry["bytes"] for name, entry in sorted(manifest["files"].items())},
    }


def replay_golden(classifier: GenreClassifier) -> dict[str, Any]:
    """Run the bundle's golden pieces here.

    Returns
    -------
    dict
        ``mel_differs``, the cells and frames that differ (0 unless the front-end is broken), ``mel_digest`` of them
        all, ``network_max_lsb``, the largest difference of a logit, and ``outputs``, the logits.
    """
    golden, made = read_golden(classifier.bundle), []
    for pcm, cells in zip(golden["pcm"], golden["cells"], strict=True):
        frames = log_mel(pcm, classifier.tables).frames_q9
        made.append((frames, normalize(frames, classifier.tables).cells, classifier.outputs(cells)))
    return golden_report(golden, made)


def golden_report(
    golden: Mapping[str, npt.NDArray[Any]],
    made: Sequence[tuple[npt.NDArray[np.int16], npt.NDArray[np.int8], npt.NDArray[np.int8]]],
) -> dict[str, Any]:
    """Return what :func:`replay_golden` does, of frames, cells and logits made elsewhere, one triple a piece."""
    digest, differs = hashlib.sha256(), 0
    for (frames, cells, _), expected_frames, expected_cells in zip(
        made, golden["frames_q9"], golden["cells"], strict=True
    ):
        differs += int((frames != expected_frames).sum()) + int((cells != expected_cells).sum())
        digest.update(frames.tobytes() + cells.tobytes())
    outputs = np.stack([logits for _, _, logits in made]).astype(int)
    largest = int(np.abs(golden[golden_key(MODEL)] - outputs).max())
    return {
        "mel_differs": differs,
        "mel_digest": digest.hexdigest(),
        "network_max_lsb": largest,
        "outputs": outputs.tolist(),
    }


def read_result(path: Path) -> dict[str, Any]:
    """Read a result and check its shape.

    Raises
    ------
    DataError
        If it is not there, not JSON, of another version, or not of the shape of a result.
    """
    try:
        result = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a result of  edgegenre bench  (it is not JSON)") from error
    _check_shape(result, path.name)
    return dict(result)


def _check_shape(result: Any, where: str) -> None:
    if not isinstance(result, dict) or result.get("format") != "edgegenre-bench":
        raise DataError(f"{where}: not a result of  edgegenre bench")
    if result.get("format_version") != FORMAT_VERSION:
        raise DataError(f"{where}: of format {result.get('format_version')!r}; this edgegenre reads {FORMAT_VERSION}")
    kinds = {"measured": _MEASURED, "emulated": _EMULATED, "parity": _PARITY}
    if result.get("kind") not in kinds:
        raise DataError(f"{where}.kind: must be one of {', '.join(sorted(kinds))}")
    check(result, _COMMON | kinds[result["kind"]], where)
    if result["device"] not in ("", *device_names()):
        raise DataError(f"{where}.device: {result['device']!r} is unknown; there are: {', '.join(device_names())}")
    for row in result.get("stages", ()):
        if not 0 < row["least_ms"] <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]:
            raise DataError(f"{where}.stages: {row['stage']} has quantiles that are not in order")


def check_bundle(result: dict[str, Any], bundle: Bundle, where: str) -> None:
    """Raise :class:`DataError` if a result is of another bundle, or its board gave other bits than the golden ones."""
    if result["bundle"]["id"] != bundle_id(bundle):
        raise DataError(
            f"{where}: of bundle {result['bundle']['id'][:12]}, but {bundle.root} is {bundle_id(bundle)[:12]}: "
            "measure again with this bundle"
        )
    golden, expected = result["golden"](bundle)
    if golden["mel_differs"]:
        raise DataError(
            f"{where}: the board's front-end gave {golden['mel_differs']} other values than the golden ones"
        )
    claimed = np.array(golden["outputs"])
    logits = expected[golden_key(MODEL)].astype(int)
    if claimed.shape != logits.shape or int(np.abs(claimed - logits).max()) > 1:
        raise DataError(f"{where}: the board's network gave other answers than the bundle's golden ones")


def write_result(result: dict[str, Any], path: Path) -> None:
    """Check a result and write it, whole or not at all."""
    _check_shape(result, path.name)
    with written_beside(path) as handle:
        handle.write((json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())


def stage_of(result: dict[str, Any], stage: str, threads: int = 1) -> dict[str, Any] | None:
    """Return the timing of a stage, or None."""
    rows: Sequence[dict[str, Any]] = result.get("stages", [])
    return next((row for row in rows if (row["stage"], row["threads"]) == (stage, threads)), None)
