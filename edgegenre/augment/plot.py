"""A plot of one window after each augmentation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import crop
from edgegenre.figures import write_png
from edgegenre_runtime.frontend import Tables, log_mel, normalize
from edgegenre_runtime.frontend.decibels import cells_to_db, db_to_cells, db_to_q9, q9_to_db

from . import spectrogram as augment
from .spectrogram import AugmentConfig

__all__ = ["draw_panels", "feature_panels", "waveform_panels"]

Panels = dict[str, npt.NDArray[np.int8]]
"""Title to int8 [n_mels, frames_per_window], a network's input."""


def feature_panels(frames_q9: npt.NDArray[np.int16], tables: Tables, seed: int) -> Panels:
    """Return the middle window of a track, unchanged and after each transform of log-mel windows.

    Parameters
    ----------
    frames_q9
        int16 [n_mels, T].
    tables, seed
        The front-end, and the seed of each transform.
    """
    spec = tables.spec
    width, fast = spec.frames_per_window, round(spec.frames_per_window * 1.25)
    start = max(0, frames_q9.shape[1] - fast) // 2
    plain = crop(frames_q9, start, width)
    db = q9_to_db(plain)
    source = q9_to_db(crop(frames_q9, start, fast))
    masks = AugmentConfig(time_masks=2, band_masks=2)
    changed = {
        "as it is": db,
        "tempo × 1.25": augment.time_stretch(source, width),
        "pitch + 2 semitones": augment.pitch_shift(db, 2.0, spec),
        "color, 5 dB": augment.color(db, 5.0, np.random.default_rng(seed)),
        "pass band 300 Hz to 4 kHz": augment.band_limit(db, 300.0, 4000.0, spec),
        "noise at 20 dB SNR": augment.add_noise(db, 20.0, spec, np.random.default_rng(seed)),
        "masks": augment.mask(db, masks, spec.top_db, np.random.default_rng(seed)),
        "gain − 12 dB (taken out)": db - np.float32(12.0),
    }
    panels = {title: normalize(db_to_q9(values), tables).cells for title, values in changed.items()}
    for preset in ("light", "strong"):
        config = augment.augment_preset(preset)
        window = augment.draw_window(frames_q9, config, tables, np.random.default_rng(seed))
        panels[f"preset {preset}, random window"] = normalize(window, tables).cells
    panels["mixup with the preset's window"] = _mixed(panels, spec.top_db, seed)
    return panels


def waveform_panels(pcm: npt.NDArray[np.int16], tables: Tables, seed: int) -> Panels:
    """Return the first window of int16 PCM after each waveform transform; needs audiomentations."""
    from .waveform import WAVEFORM_TRANSFORMS

    spec, panels = tables.spec, {}
    samples = pcm.astype(np.float32) / np.float32(32768)
    for name, transform in WAVEFORM_TRANSFORMS.items():
        out = transform(samples.copy(), spec.sample_rate_hz, np.random.default_rng(seed))
        changed = np.clip(np.rint(out * 32768), -32768, 32767).astype(np.int16)
        frames = log_mel(changed, tables).frames_q9
        panels[f"waveform: {name}"] = normalize(crop(frames, 0, spec.frames_per_window), tables).cells
    return panels


def draw_panels(panels: Panels, path: Path) -> None:
    """Plot the panels, four per row, as PNG; raises :class:`DataError` if it cannot be written."""
    from matplotlib.figure import Figure

    n_rows = math.ceil(len(panels) / 4)
    figure = Figure(figsize=(13, 2.9 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, 4, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (title, cells) in zip(grid, panels.items(), strict=False):
        axes.imshow(cells, origin="lower", aspect="auto", vmin=-128, vmax=127, cmap="magma")
        axes.set_title(title, fontsize=9)
    for axes in grid[len(panels) :]:
        axes.axis("off")
    figure.supxlabel("frame")
    figure.supylabel("mel band")
    write_png(figure, path)


def _mixed(panels: Panels, top_db: int, seed: int) -> npt.NDArray[np.int8]:
    pair = np.stack([panels["as it is"], panels["preset strong, random window"]])
    windows = cells_to_db(pair[:, None], top_db)
    targets = np.eye(2, dtype=np.float32)
    for attempt in range(64):  # half of the permutations mix a window with itself
        mixed, labels = augment.mixup(windows, targets, 2.0, top_db, np.random.default_rng((seed, attempt)))
        if labels[0, 0] < 0.9:
            break
    return db_to_cells(mixed[0, 0], top_db)
