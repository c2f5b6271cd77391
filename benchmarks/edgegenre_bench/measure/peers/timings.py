"""The peers timed on this machine, in turn with this project; needs every extra."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy.signal
import torch

from edgegenre.checkpoint import Checkpoint, default_checkpoint, load_checkpoint, to_module
from edgegenre_export.convert.onnx.from_torch import float_onnx
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.network.golden import read_golden

from ..timing import time_in_turn
from .callables import Peer, build_peers

__all__ = ["matching_checkpoint", "peer_timer", "write_files_of_bundle", "write_peer_files"]

_WARM_UP, _REPEATS = 5, 61
_PARTS = ("mel", "network", "window")


def write_peer_files(folder: Path, checkpoint: Checkpoint, spec: FrontendSpec) -> None:
    """Write what :func:`.peers.build_peers` reads: the float32 network as TFLite and ONNX, tables of scipy's mel."""
    network = to_module(checkpoint).eval()
    (folder / "float.tflite").write_bytes(float_tflite(network, spec))
    (folder / "float.onnx").write_bytes(float_onnx(network, spec, {}))
    weights = librosa.filters.mel(
        sr=spec.sample_rate_hz, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin_hz, fmax=spec.fmax_hz
    )
    hann = scipy.signal.get_window("hann", spec.n_fft).astype(np.float32)
    np.savez(folder / "mel.npz", hann=hann, weights=np.ascontiguousarray(weights.T, np.float32))


def matching_checkpoint(path: Path | None, classifier: GenreClassifier) -> Checkpoint:
    """Load a bundle's checkpoint, the shipped one if ``path`` is None; raises :class:`SpecError` on a mismatch."""
    checkpoint = load_checkpoint(default_checkpoint() if path is None else path)
    if checkpoint.spec_hash != classifier.tables.spec_hash or checkpoint.labels != classifier.labels:
        raise SpecError("the checkpoint and the bundle have different front-ends or classes: give a matching pair")
    return checkpoint


def write_files_of_bundle(folder: Path, bundle: Path | None, checkpoint: Path | None) -> None:
    """Write the peers' files of a bundle and its checkpoint (the shipped ones if None) into ``folder``."""
    classifier = GenreClassifier.load(bundle)
    write_peer_files(folder, matching_checkpoint(checkpoint, classifier), classifier.tables.spec)


def peer_timer(
    checkpoint: Path | None = None, yamnet: Path | None = None
) -> Callable[[GenreClassifier], list[dict[str, Any]]]:
    """Return a function that times all peers in turn with a bundle, for :func:`.this_machine.measure_machine`.

    Parameters
    ----------
    checkpoint
        The bundle's; the shipped one if None.
    yamnet
        YAMNet's ``.tflite``.
    """

    def time_peers(classifier: GenreClassifier) -> list[dict[str, Any]]:
        loaded = matching_checkpoint(checkpoint, classifier)
        network, pcm = to_module(loaded).eval(), read_golden(classifier.bundle)["pcm"][0]

        def by_torch(values: Any) -> object:
            with torch.inference_mode():
                return network(torch.from_numpy(values))

        with tempfile.TemporaryDirectory() as name:
            write_peer_files(Path(name), loaded, classifier.tables.spec)
            peers = build_peers(classifier, pcm, Path(name), ("librosa", "onnxruntime"), by_torch, yamnet)
        with _one_torch_thread():
            return _time(peers)

    return time_peers


@contextlib.contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Run torch on one thread; sums of other thread counts round differently, so the number is put back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _time(peers: Sequence[Peer]) -> list[dict[str, Any]]:
    named = {(f"{peer.name}\n{part}", 1): getattr(peer, part) for peer in peers for part in _PARTS}
    timed = time_in_turn({key: run for key, run in named.items() if run is not None}, _WARM_UP, _REPEATS)
    fastest = {timing.stage: timing.min_ms for timing in timed}
    return [
        {
            "name": peer.name,
            **{part: fastest.get(f"{peer.name}\n{part}", 0.0) for part in _PARTS},
            "audio_s": peer.audio_s,
        }
        for peer in peers
    ]
