"""Grad-CAM: which parts of the mel spectrogram speak for a class; and where a network's attention lies.

Selvaraju et al. 2017: the last convolution's maps, weighted by the mean gradient of the class's logit and
rectified, enlarged to the window; half-overlapping windows are averaged over the clip. A network whose convolutions run
over time alone has no map of bands: there it is the input times its gradient (Shrikumar et al. 2016), rectified.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre.data.clips import read_clip
from edgegenre.data.feature_cache import crop
from edgegenre.figures import write_png
from edgegenre_runtime.errors import AudioError, CheckpointError, SpecError, UsageError
from edgegenre_runtime.frontend import log_mel, normalize, released
from edgegenre_runtime.frontend.decibels import q9_to_db
from edgegenre_runtime.network.task import Task
from edgegenre_runtime.printable import printable

from .scoring import network_input, window_starts

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgegenre.models import Network

__all__ = ["Explanation", "explain", "grad_cam", "plot_explanation"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The relevance of each part of a clip for a class.

    Attributes
    ----------
    label, probability
        The class, and its mean probability over the windows.
    levels_db
        float32 [n_mels, T], dB relative to the clip's maximum, −80 to 0.
    relevance
        float32 [n_mels, T], relative to the maximum over the clip, 0 to 1; all 0 where nothing speaks for the class.
    hop_s
        Seconds per frame.
    attention
        float32 [n_mels, T], gate of the attention pool, 0 to 1, where 1/2 is what a cell with the mean score gets; None
        for a network without one.
    """

    label: str
    probability: float
    levels_db: npt.NDArray[np.float32]
    relevance: npt.NDArray[np.float32]
    hop_s: float
    attention: npt.NDArray[np.float32] | None = None


def explain(checkpoint: Checkpoint, path: Path, label: str | None = None) -> Explanation:
    """Explain a class of a network on an audio file.

    Parameters
    ----------
    checkpoint
        The network.
    path
        The audio file.
    label
        The class, or a node of a hierarchy; None: the most probable class of the clip.

    Raises
    ------
    UsageError
        A class that the network does not have.
    AudioError
        A file that cannot be read, is shorter than one frame, or is silent.
    CheckpointError, SpecError
        A network without convolutions, or of another front-end.
    """
    task = checkpoint.task
    if label is not None and label not in task.names:
        raise UsageError(f"class {label!r} is unknown; the network has {', '.join(task.names)}")
    tables = released(checkpoint.spec.name)
    if tables.spec_hash != checkpoint.spec_hash:
        raise SpecError("the checkpoint was trained with other front-end tables than this edgegenre's: train it again")
    spec = tables.spec
    frames = log_mel(read_clip(path, spec.sample_rate_hz, min_samples=spec.n_fft).pcm, tables).frames_q9
    T, width = frames.shape[1], spec.frames_per_window
    starts = sorted({*window_starts(T, width), max(T - width, 0)})
    windows = [normalize(crop(frames, start, width), tables) for start in starts]
    if all(window.is_silence for window in windows):
        raise AudioError(f"{path}: is silent: there is nothing to explain")
    import torch

    network = to_module(checkpoint)
    inputs = network_input(np.stack([window.cells for window in windows]), spec.top_db)
    with torch.no_grad():
        probabilities = task.probabilities(network(inputs).numpy()).mean(axis=0)
    if label is None:
        label = checkpoint.labels[int(probabilities.argmax())]
    indices = [checkpoint.labels.index(label)] if label in checkpoint.labels else _leaves_below(task, label)
    maps = np.concatenate([grad_cam(network, inputs[i : i + 16], indices) for i in range(0, len(inputs), 16)])
    relevance = _along_clip(maps, starts, T)
    gates = _attention(network, inputs)
    levels_db = q9_to_db(frames.astype(np.int32) - int(frames.max()))
    return Explanation(
        label=label,
        probability=task.named(probabilities)[label],
        levels_db=np.maximum(levels_db, -spec.top_db).astype(np.float32),
        relevance=relevance / max(float(relevance.max()), 1e-12),
        hop_s=spec.hop_samples / spec.sample_rate_hz,
        attention=None if gates is None else _along_clip(gates, starts, T),
    )


def _leaves_below(task: Task, node: str) -> list[int]:
    """Return the classes below an inner node of a hierarchy."""
    assert task.taxonomy is not None  # noqa: S101  # only a hierarchy has names beside its classes
    below = task.taxonomy.is_below[task.taxonomy.nodes.index(node)]
    return [int(index) for index in np.flatnonzero(below)]


def _along_clip(maps: npt.NDArray[np.float32], starts: list[int], n_frames: int) -> npt.NDArray[np.float32]:
    """Return the mean of windows' maps, float32 [n, M, width], where they lie in a clip: float32 [M, n_frames]."""
    _, M, width = maps.shape
    total, count = np.zeros((M, n_frames), np.float32), np.zeros(n_frames, np.float32)
    for start, one in zip(starts, maps, strict=True):
        total[:, start : start + width] += one[:, : n_frames - start]
        count[start : start + width] += 1
    return total / count


def _attention(network: Network, inputs: torch.Tensor) -> npt.NDArray[np.float32] | None:
    """Return the gates of the attention pool for windows [B, 1, M, T], enlarged to float32 [B, M, T]; None without."""
    import torch
    from torch import nn

    from edgegenre.models.pool import AttentionPool

    pools = [module for module in network.modules() if isinstance(module, AttentionPool)]
    if not pools:
        return None
    seen: list[torch.Tensor] = []
    hook = pools[0].gate.register_forward_hook(lambda _module, _inputs, gates: seen.append(gates))
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        hook.remove()
    enlarged = nn.functional.interpolate(seen[0], size=inputs.shape[2:], mode="bilinear", align_corners=False)
    return np.asarray(enlarged[:, 0].numpy())


def grad_cam(network: nn.Module, inputs: torch.Tensor, indices: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return Grad-CAM of some classes together for a batch, float32 [B, M, T], non-negative, not normalized.

    Parameters
    ----------
    network
        In eval mode; any with a convolution.
    inputs
        float32 [B, 1, M, T].
    indices
        Of the logits; of several the gradient is that of the logarithm of their joint weight.

    Raises
    ------
    CheckpointError
        No convolution whose output is more than one cell.
    """
    import torch
    from torch import nn

    from edgegenre.models.pool import AttentionPool

    outputs: list[torch.Tensor] = []
    is_over_time = False

    def collect(_module: nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal is_over_time
        if output.ndim == 4 and min(output.shape[2:]) > 1:
            outputs.append(output)
        is_over_time |= output.ndim == 4 and output.shape[3] > 1

    scores = {pool.score for pool in network.modules() if isinstance(pool, AttentionPool)}
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m not in scores]
    handles = [module.register_forward_hook(collect) for module in convolutions]
    try:
        with torch.enable_grad():
            windows = inputs.clone().requires_grad_()
            logits = network(windows)
    finally:
        for handle in handles:
            handle.remove()
    if not outputs and not is_over_time:
        raise CheckpointError("the network has no convolution: Grad-CAM needs one")
    last = outputs[-1] if outputs else windows
    (gradient,) = torch.autograd.grad(torch.logsumexp(logits[:, list(indices)], dim=1).sum(), last)
    if not outputs:
        return np.asarray(torch.relu(gradient * last)[:, 0].detach().numpy())
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    cam = torch.relu((weights * last).sum(dim=1, keepdim=True)).detach()
    enlarged = nn.functional.interpolate(cam, size=inputs.shape[2:], mode="bilinear", align_corners=False)
    return np.asarray(enlarged[:, 0].numpy())


def plot_explanation(explanation: Explanation, title: str, path: Path) -> None:
    """Draw the spectrogram, and below it relevance and attention, as PNG; :class:`DataError` if that fails."""
    from matplotlib.figure import Figure

    maps = {"relevance": explanation.relevance}
    if explanation.attention is not None:
        maps["attention"] = explanation.attention
    figure = Figure(figsize=(10, 3.5 + 3 * len(maps)), layout="constrained")
    above, *others = figure.subplots(1 + len(maps), 1, sharex=True)
    n_mels, T = explanation.levels_db.shape
    extent = (0, T * explanation.hop_s, 0, n_mels)
    for axes, colors in (*((axes, "gray") for axes in others), (above, "magma")):
        levels = axes.imshow(explanation.levels_db, origin="lower", aspect="auto", extent=extent, cmap=colors)
        axes.set_ylabel("mel band")
    figure.colorbar(levels, ax=above, label="dB from the clip's maximum")
    for axes, (name, values) in zip(others, maps.items(), strict=True):
        heat = axes.imshow(
            values, origin="lower", aspect="auto", extent=extent, cmap="inferno", alpha=0.6, vmin=0, vmax=1
        )
        figure.colorbar(heat, ax=axes, label=name)
    others[-1].set_xlabel("seconds")
    above.set_title(f"{printable(title)}: {explanation.label} ({explanation.probability:.2f})", parse_math=False)
    write_png(figure, path)
