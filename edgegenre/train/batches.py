"""Training batches; the content of one depends on seed, epoch and index alone, so that any can be reproduced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from edgegenre.augment.spectrogram import draw_window, mixup
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.scoring import network_input
from edgegenre_runtime.frontend import Tables, normalize

from .options import TrainOptions

__all__ = ["Batches"]

_ORDER, _WINDOW, _MIXUP = range(3)


class Batches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Batches of one epoch: windows float32 [B, 1, M, T] in dB above the floor, and targets float32 [B, C].

    Attributes
    ----------
    epoch
        The epoch that the batches are of; the training loop advances it.
    """

    def __init__(
        self, cache: FeatureCache, tracks: npt.NDArray[np.int64], tables: Tables, options: TrainOptions
    ) -> None:
        self.cache, self.tracks, self.tables, self.options = cache, tracks, tables, options
        self.epoch = 0

    def __len__(self) -> int:
        return max(1, len(self.tracks) * self.options.crops_per_track // self.options.batch_size)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        o, top_db = self.options, self.tables.spec.top_db
        order = self._rng(_ORDER).permutation(len(self.tracks) * o.crops_per_track)
        chosen = order[index * o.batch_size : (index + 1) * o.batch_size]
        tracks = self.tracks[chosen % len(self.tracks)]
        cells = [self._cells(int(track), int(item)) for track, item in zip(tracks, chosen, strict=True)]
        windows = network_input(np.stack(cells), top_db)
        targets = np.eye(len(self.cache.labels), dtype=np.float32)[self.cache.y[tracks]]
        if o.augment.mixup:
            mixed, targets = mixup(windows.numpy(), targets, o.augment.mixup, top_db, self._rng(_MIXUP, index))
            windows = torch.from_numpy(mixed)
        return windows, torch.from_numpy(targets)

    def _cells(self, track: int, item: int) -> npt.NDArray[np.int8]:
        window = draw_window(self.cache.track(track), self.options.augment, self.tables, self._rng(_WINDOW, item))
        return normalize(window, self.tables).cells

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.options.seed, self.epoch, *purpose))
