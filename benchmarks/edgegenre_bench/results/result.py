"""The result of a bench: one JSON document, its shape, and what makes it valid. See docs/benchmarks.md."""

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
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.network.bundle import Bundle
from edgegenre_runtime.network.golden import golden_key, read_golden

from .device_profiles import device_names
from .schema import validate

__all__ = [
    "FORMAT_VERSION",
    "MODEL",
    "bundle_facts",
    "bundle_id",
    "check_bundle",
    "golden_report",
    "read_result",
    "replay_golden",
    "stage_of",
    "write_result",
]

FORMAT_VERSION = 2
"""The shape of a result is ``schemas/result.schema.json``."""
MODEL = "model_int8.tflite"
_ANSWERS = ("frontend.json", "labels.txt", MODEL)
"""The files of a bundle that determine its answers: a card or a C folder beside them makes no other bundle of it."""

_KINDS = ("emulated", "measured", "parity")


def bundle_id(bundle: Bundle) -> str:
    """Return the hash of what determines a bundle's answers: SHA-256 over names and SHA-256 of those files."""
    files = bundle.manifest["files"]
    lines = "".join(f"{name} {files[name]['sha256']}\n" for name in _ANSWERS if name in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def bundle_facts(bundle: Bundle, macs: int) -> dict[str, Any]:
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
    golden, answers = read_golden(classifier.bundle), []
    for pcm, cells in zip(golden["pcm"], golden["cells"], strict=True):
        frames = log_mel(pcm, classifier.tables).frames_q9
        answers.append((frames, normalize(frames, classifier.tables).cells, classifier.outputs(cells)))
    return golden_report(golden, answers)


def golden_report(
    golden: Mapping[str, npt.NDArray[Any]],
    answers: Sequence[tuple[npt.NDArray[np.int16], npt.NDArray[np.int8], npt.NDArray[np.int8]]],
) -> dict[str, Any]:
    """Return what :func:`replay_golden` does, for answers from elsewhere: frames, cells and logits per piece."""
    digest, differs = hashlib.sha256(), 0
    for (frames, cells, _), expected_frames, expected_cells in zip(
        answers, golden["frames_q9"], golden["cells"], strict=True
    ):
        differs += int((frames != expected_frames).sum()) + int((cells != expected_cells).sum())
        digest.update(frames.tobytes() + cells.tobytes())
    outputs = np.stack([logits for _, _, logits in answers]).astype(int)
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
        result = parse_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: not a result of  edgegenre bench  (it is not JSON)") from error
    _check(result, path.name)
    return dict(result)


def _check(result: Any, where: str) -> None:
    if not isinstance(result, dict) or result.get("format") != "edgegenre-bench":
        raise DataError(f"{where}: not a result of  edgegenre bench")
    if result.get("format_version") != FORMAT_VERSION:
        raise DataError(f"{where}: of format {result.get('format_version')!r}; this edgegenre reads {FORMAT_VERSION}")
    if result.get("kind") not in _KINDS:
        raise DataError(f"{where}.kind: must be one of {', '.join(_KINDS)}")
    validate(result, "result", where, definition=result["kind"])
    if result["device"] not in ("", *device_names()):
        raise DataError(f"{where}.device: {result['device']!r} is unknown; there are: {', '.join(device_names())}")
    if len({len(row) for row in result["golden"]["outputs"]}) != 1:
        raise DataError(f"{where}.golden.outputs: its rows differ in length")
    for row in result.get("stages", ()):
        if not row["min_ms"] <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]:
            raise DataError(f"{where}.stages: {row['stage']} has quantiles that are not in order")


def check_bundle(result: dict[str, Any], bundle: Bundle, where: str) -> None:
    """Raise :class:`DataError` if a result is of another bundle, or its board gave other bits than the golden ones."""
    if result["bundle"]["id"] != bundle_id(bundle):
        raise DataError(
            f"{where}: of bundle {result['bundle']['id'][:12]}, but {bundle.root} is {bundle_id(bundle)[:12]}: "
            "measure again with this bundle"
        )
    golden, expected = result["golden"], read_golden(bundle)
    if golden["mel_differs"]:
        raise DataError(
            f"{where}: the board's front-end gave {golden['mel_differs']} other values than the golden ones"
        )
    claimed = np.array(golden["outputs"])
    logits = expected[golden_key(MODEL)].astype(int)
    if claimed.shape != logits.shape or int(np.abs(claimed - logits).max()) > 1:
        raise DataError(f"{where}: the board's network gave other answers than the bundle's golden ones")


def write_result(result: dict[str, Any], path: Path) -> None:
    """Write a result, whole or not at all; raises :class:`ValueError` if a number in it is not finite.

    It is not validated: a board has no JSON Schema library, and :func:`read_result` refuses what is out of shape.
    """
    with written_beside(path) as handle:
        handle.write((json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def stage_of(result: dict[str, Any], stage: str, threads: int = 1) -> dict[str, Any] | None:
    """Return the timing of a stage, or None."""
    rows: Sequence[dict[str, Any]] = result.get("stages", [])
    return next((row for row in rows if (row["stage"], row["threads"]) == (stage, threads)), None)
