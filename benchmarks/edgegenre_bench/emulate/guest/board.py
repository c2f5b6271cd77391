"""What runs inside the emulated board for ``bench emulate``: answers for parity, and stages between marks.

Run as ``python -m edgegenre_bench.emulate.guest.board JOB.json OUT.npz``. It imports numpy, the runtime, and what
peers need.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import Clip, active_implementation, log_mel, native, normalize
from edgegenre_runtime.network.interpreters import TfliteModel
from edgegenre_runtime.network.window_stream import WindowStream

from .marks import run_marked

__all__ = ["STAGES", "clip_answers"]

STAGES = ("mel", "network", "end_to_end", "stream", "network_litert")
"""What is counted first; peers come after it, three regions each (two are empty for a model of PCM)."""

STREAM_HOPS = 4
"""Half windows that ``stream`` takes."""


def clip_answers(
    classifier: GenreClassifier, pcm: npt.NDArray[np.int16], hop_frames: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return a clip's log-mel frames int16 [n_mels, T], windows int8 [n, n_mels, width] and logits int8 [n, C]."""
    tables, width = classifier.tables, classifier.tables.spec.frames_per_window
    frames = log_mel(pcm, tables).frames_q9
    starts = range(0, frames.shape[1] - width + 1, hop_frames)
    cells = np.stack([normalize(frames[:, start : start + width], tables).cells for start in starts])
    return frames, cells, np.stack([classifier.outputs(window) for window in cells])


def _stages(classifier: GenreClassifier, pcm: npt.NDArray[np.int16]) -> list[Callable[[], object]]:
    """Return the regions of :data:`STAGES` over one window of PCM; ``stream`` takes :data:`STREAM_HOPS` more hops."""
    tables, spec = classifier.tables, classifier.tables.spec
    clip, cells = Clip(pcm, spec.sample_rate_hz), normalize(log_mel(pcm, tables).frames_q9, tables).cells
    stream, litert = WindowStream(tables), TfliteModel(classifier.bundle.read("model_int8.tflite"))
    hop = spec.frames_per_window // 2 * spec.hop_samples
    list(stream.push(pcm))

    def listen() -> None:
        for _ in range(STREAM_HOPS):
            for item in stream.push(pcm[:hop]):
                classifier.probabilities(item.window.cells)

    return [
        lambda: normalize(log_mel(pcm, tables).frames_q9, tables),
        lambda: classifier.outputs(cells),
        lambda: classifier.predict_clip(clip),
        listen,
        lambda: litert.run(cells[None, :, :, None]),
    ]


def _peers(classifier: GenreClassifier, pcm: npt.NDArray[np.int16], job: dict[str, Any]) -> list[Any]:
    from edgegenre_bench.measure.peers.callables import build_peers

    yamnet = Path(job["yamnet"]) if job["yamnet"] else None
    return build_peers(classifier, pcm, Path(job["peers"]), job["libraries"], yamnet=yamnet)


def _has_delegate(model: bytes) -> bool:
    """Whether the interpreter runs the network by XNNPACK here; LiteRT falls back without a warning."""
    return "DELEGATE" in TfliteModel(model).ops


def _facts(classifier: GenreClassifier) -> dict[str, Any]:
    return {
        "implementation": active_implementation(),
        "network": classifier.backend.name,
        "path": native.NativeMelStream(classifier.tables).path,
        "has_delegate": _has_delegate(classifier.bundle.read("model_int8.tflite")),
    }


def _work(job: dict[str, Any]) -> dict[str, Any]:
    classifier = GenreClassifier.load(job["bundle"])
    answers: dict[str, Any] = {}
    if job["cells"]:
        cells = np.load(job["cells"])
        return {
            "facts": np.array(json.dumps(_facts(classifier))),
            "logits": np.stack(list(map(classifier.outputs, cells))),
        }
    with np.load(job["pcm"]) as clips:
        if job["is_parity"]:
            for name in clips.files:
                frames, cells, logits = clip_answers(classifier, clips[name], job["hop_frames"])
                answers |= {f"{name}/frames": frames, f"{name}/cells": cells, f"{name}/logits": logits}
        pcm = clips[clips.files[0]][: classifier.tables.spec.window_samples]
    facts = _facts(classifier)
    if job["is_counted"]:
        regions, facts["peers"] = _stages(classifier, pcm), []
        for peer in _peers(classifier, pcm, job) if job["peers"] else []:
            facts["peers"].append({"name": peer.name, "audio_s": peer.audio_s})
            regions += [part if part is not None else lambda: None for part in (peer.mel, peer.network, peer.window)]
        run_marked(regions)
    return answers | {"facts": np.array(json.dumps(facts))}


if __name__ == "__main__":
    np.savez(sys.argv[2], **_work(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
