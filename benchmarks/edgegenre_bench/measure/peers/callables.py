"""Alternatives to this project as callables, here and inside an emulated board.

Every pipeline starts from the int16 PCM of one window and ends with class scores of the same network. It imports a
library only where it is asked for; scipy, librosa, torch and onnxruntime are none of a device's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_bench.results.result import MODEL
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import FrontendSpec, log_mel, normalize
from edgegenre_runtime.frontend.decibels import db_to_cells
from edgegenre_runtime.network.interpreters import OnnxModel, TfliteModel
from edgegenre_runtime.network.quantization import dequantize, softmax

__all__ = ["LIBROSA", "OURS", "Peer", "build_peers"]

OURS = "edgegenre: C front-end"
"""How the names of this project's pipelines begin; what runs the network follows."""
LIBROSA = "librosa, LiteRT float32"
_YAMNET_RATE_HZ, _YAMNET_SAMPLES = 16000, 15600

_Floats = npt.NDArray[np.float32]
_Mel = Callable[[], npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """One pipeline.

    Attributes
    ----------
    name
        What tables call it.
    mel, network, window
        Its front-end, its network on a ready window, and both; a model of PCM has the last alone.
    audio_s
        Seconds of audio that one call of ``window`` takes.
    """

    name: str
    mel: Callable[[], object] | None
    network: Callable[[], object] | None
    window: Callable[[], object]
    audio_s: float


def build_peers(
    classifier: GenreClassifier,
    pcm: npt.NDArray[np.int16],
    folder: Path,
    libraries: Sequence[str],
    network: Callable[[_Floats], object] | None = None,
    yamnet: Path | None = None,
) -> list[Peer]:
    """Return this project's pipeline and its peers.

    Parameters
    ----------
    classifier
        The bundle; its ``model_int8.onnx`` is run too, if there is one.
    pcm
        int16 [window_samples].
    folder
        Holds ``float.tflite`` and ``float.onnx``, the same network in float32, and for the mel by scipy ``mel.npz``
        with ``hann`` float32 [n_fft] and ``weights`` float32 [n_bins, n_mels].
    libraries
        Which of ``librosa`` and ``onnxruntime`` there are.
    network
        The network in torch, from float32 [1, 1, n_mels, frames]; left out if None.
    yamnet
        YAMNet's ``.tflite``; left out if None.
    """
    spec, tables = classifier.tables.spec, classifier.tables
    by_scipy = _scipy_mel(pcm, folder, spec)

    def ours() -> npt.NDArray[np.int8]:
        return normalize(log_mel(pcm, tables).frames_q9, tables).cells

    def cells_by_scipy() -> npt.NDArray[Any]:
        return db_to_cells(by_scipy(), spec.top_db)

    float_run = TfliteModel((folder / "float.tflite").read_bytes()).run
    int8_run = _litert(classifier.bundle.read(MODEL))
    name = classifier.backend.name
    is_engine = name.startswith("edgegenre engine")
    peers = [_peer(f"{OURS}, {'C engine' if is_engine else name}", ours, classifier.probabilities, spec)]
    if is_engine:
        peers.append(_peer(f"{OURS}, LiteRT int8", ours, int8_run, spec))
    if "librosa" in libraries:
        by_librosa = _librosa_mel(pcm, spec)
        peers.append(_peer(LIBROSA, by_librosa, lambda db: float_run(db[None, :, :, None]), spec))
        if network is not None:
            peers.append(_peer("librosa, torch eager", by_librosa, lambda db: network(db[None, None]), spec))
    if "onnxruntime" in libraries:
        run = _onnx((folder / "float.onnx").read_bytes())
        peers.append(_peer("scipy float32, onnxruntime float", by_scipy, run, spec))
        if "model_int8.onnx" in classifier.bundle.manifest["files"]:
            run = _onnx(classifier.bundle.read("model_int8.onnx"))
            peers.append(_peer("scipy float32, onnxruntime int8", cells_by_scipy, run, spec))
    by_litert = _peer("scipy float32, LiteRT int8", cells_by_scipy, int8_run, spec)
    peers.append(by_litert)
    return peers if yamnet is None else [*peers, _waveform(yamnet)]


def _peer(name: str, mel: _Mel, network: Callable[[Any], object], spec: FrontendSpec) -> Peer:
    ready = mel()
    return Peer(name, mel, lambda: network(ready), lambda: network(mel()), spec.window_s)


def _librosa_mel(pcm: npt.NDArray[np.int16], spec: FrontendSpec) -> Callable[[], _Floats]:
    import librosa

    samples = (pcm / 32768).astype(np.float32)
    shape: dict[str, Any] = {"sr": spec.sample_rate_hz, "n_fft": spec.n_fft, "n_mels": spec.n_mels}

    def mel() -> _Floats:
        power = librosa.feature.melspectrogram(y=samples, **shape, hop_length=spec.hop_samples, center=False)
        decibels: _Floats = librosa.power_to_db(power, ref=np.max, top_db=spec.top_db) + np.float32(spec.top_db)
        return decibels

    return mel


def _scipy_mel(pcm: npt.NDArray[np.int16], folder: Path, spec: FrontendSpec) -> Callable[[], _Floats]:
    from .scipy_mel import scipy_log_mel

    with np.load(folder / "mel.npz") as arrays:
        hann, weights = arrays["hann"], arrays["weights"]
    samples = (pcm / 32768).astype(np.float32)

    def mel() -> _Floats:
        decibels = scipy_log_mel(samples, hann, weights, spec.hop_samples).T
        above: _Floats = np.maximum(decibels - decibels.max() + np.float32(spec.top_db), np.float32(0))
        return above

    return mel


def _litert(content: bytes) -> Callable[[npt.NDArray[np.int8]], _Floats]:
    model = TfliteModel(content)
    scale, zero_point = model.output.scale, model.output.zero_point
    return lambda cells: softmax(dequantize(model.run(cells[None, :, :, None]), scale, zero_point))


def _onnx(content: bytes) -> Callable[[npt.NDArray[Any]], object]:
    model = OnnxModel(content)
    return lambda values: model.run(values[None, None])


def _waveform(path: Path) -> Peer:
    """Return a model of PCM at 16 kHz, as YAMNet is: 0.975 s at once, or as many samples as its input has."""
    model = TfliteModel(path.read_bytes(), n_samples=_YAMNET_SAMPLES)
    noise = np.random.default_rng(0).normal(scale=0.1, size=model.input.shape).astype(np.float32)
    audio_s = model.input.shape[-1] / _YAMNET_RATE_HZ
    return Peer(f"{path.stem} (other classes)", None, None, lambda: model.run(noise), audio_s)
