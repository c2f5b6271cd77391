"""Parity on real audio: the bundle's integer path against the float network on librosa's features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.printable import printable

__all__ = ["ClipParity", "clip_parities", "format_parity", "librosa_windows"]


@dataclasses.dataclass(frozen=True, slots=True)
class ClipParity:
    """One clip through both paths.

    Attributes
    ----------
    name
        File name.
    int8_label, float_label
        Top class of the bundle's integer path, and of the float network on librosa's features.
    int8_probability, float_probability
        What each gives to its top class.
    largest_difference
        Largest difference of a class's clip probability between the two.
    """

    name: str
    int8_label: str
    int8_probability: float
    float_label: str
    float_probability: float
    largest_difference: float

    @property
    def agrees(self) -> bool:
        """Whether both give the same top class."""
        return self.int8_label == self.float_label


def librosa_windows(pcm: npt.NDArray[np.int16], spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return half-overlapping windows of librosa's log-mel in dB above the floor, float64 [n, n_mels, frames].

    ``melspectrogram(center=False)`` in float64 and ``power_to_db(ref=max, top_db)`` over each window; the
    frames of a clip shorter than a window are repeated, as the runtime does.
    """
    power = librosa.feature.melspectrogram(
        y=pcm.astype(np.float64) / 32768,
        sr=spec.sample_rate_hz,
        n_fft=spec.n_fft,
        hop_length=spec.hop_samples,
        n_mels=spec.n_mels,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        center=False,
    )
    width = spec.frames_per_window
    if power.shape[1] < width:
        power = np.tile(power, (1, -(-width // power.shape[1])))[:, :width]
    starts = range(0, power.shape[1] - width + 1, width // 2)
    parts = [power[:, start : start + width] for start in starts]
    db = [librosa.power_to_db(part, ref=np.max, amin=1e-30, top_db=spec.top_db) + spec.top_db for part in parts]
    return np.stack(db)


def _float_probabilities(network: nn.Module, windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        logits = network(torch.from_numpy(windows).float()[:, None])
        return np.asarray(torch.softmax(logits, dim=1).mean(dim=0).numpy())


def clip_parities(
    classifier: GenreClassifier,
    checkpoint: Checkpoint,
    clips: Sequence[Path],
    progress: Callable[[], None] = lambda: None,
) -> list[ClipParity]:
    """Run every clip through both paths; raises :class:`SpecError` if checkpoint and bundle differ in front-end."""
    if checkpoint.spec_hash != classifier.tables.spec_hash:
        raise SpecError("the checkpoint and the bundle have different front-ends: give a matching pair")
    network = to_module(checkpoint)
    rows = []
    for clip in clips:
        answer = classifier.predict_file(clip)
        pcm = np.concatenate(list(file_blocks(clip, classifier.rate_hz)))
        reference = _float_probabilities(network, librosa_windows(pcm, classifier.tables.spec))
        ours = np.array([answer.probabilities.get(label, 0.0) for label in checkpoint.labels])
        top = int(reference.argmax())
        rows.append(
            ClipParity(
                name=printable(clip.name),
                int8_label=answer.label,
                int8_probability=float(ours.max()),
                float_label=checkpoint.labels[top],
                float_probability=float(reference[top]),
                largest_difference=float(np.abs(ours - reference).max()),
            )
        )
        progress()
    return rows


def format_parity(rows: Sequence[ClipParity]) -> str:
    """Return the comparison as a Markdown table with a last line that counts the agreements."""
    cells = [
        (
            row.name,
            f"{row.int8_label} {row.int8_probability:.2f}",
            f"{row.float_label} {row.float_probability:.2f}{'' if row.agrees else ' **differs**'}",
            f"{row.largest_difference:.3f}",
        )
        for row in rows
    ]
    table = markdown_table(("clip", "integer path, int8", "float network on librosa", "largest difference"), cells)
    return f"{table}\n\nsame top class on {sum(row.agrees for row in rows)} of {len(rows)} clips"
