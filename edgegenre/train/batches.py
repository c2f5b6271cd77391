"""Training batches; the content of one depends on seed, epoch and index alone, so that any can be reproduced."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from edgegenre.augment.spectrogram import draw_window, mixup
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.scoring import network_input
from edgegenre_runtime.frontend import Tables, normalize

from .losses import targets_of
from .options import TrainOptions

__all__ = ["Batches", "SoftTargets"]

_ORDER, _WINDOW, _MIXUP, _UNLABELED = range(4)
_RARITY_FLOOR = 15


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SoftTargets:
    """What a teacher thinks of the tracks (:mod:`.soft_labels`).

    Attributes
    ----------
    labeled
        float32 [n, C], probabilities of the training tracks, in their order.
    cache
        Tracks without labels, of the same front-end, or none.
    unlabeled
        float32 [m, C], their probabilities; [0, C] without such tracks.
    """

    labeled: npt.NDArray[np.float32]
    cache: FeatureCache | None
    unlabeled: npt.NDArray[np.float32]

    def chances(self) -> npt.NDArray[np.float64]:
        """Return how often each unlabeled track is drawn, float64 [m]: less where the teacher hears a common class."""
        heard = self.unlabeled.argmax(axis=1)
        rarity: npt.NDArray[np.float64] = 1.0 / (np.bincount(heard)[heard] + _RARITY_FLOOR)
        chances: npt.NDArray[np.float64] = rarity / rarity.sum()
        return chances


class Batches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Batches of one epoch: windows float32 [B, 1, M, T] in dB above the floor, and targets float32 [B, C].

    Of a hierarchy the targets are [B, K], over the nodes of the taxonomy.

    Attributes
    ----------
    epoch
        The epoch that the batches are of; the training loop advances it.
    """

    def __init__(
        self,
        cache: FeatureCache,
        tracks: npt.NDArray[np.int64],
        tables: Tables,
        options: TrainOptions,
        soft: SoftTargets | None = None,
    ) -> None:
        self.cache, self.tracks, self.tables, self.options, self.soft = cache, tracks, tables, options, soft
        has_unlabeled = soft is not None and soft.cache is not None
        self.n_unlabeled = round(options.batch_size * options.unlabeled_share) if has_unlabeled else 0
        self.chances = soft.chances() if soft is not None and self.n_unlabeled else None
        self.n_labeled = options.batch_size - self.n_unlabeled
        self.targets = targets_of(cache, tracks)
        if soft is not None:
            self.targets += options.soft_weight * (soft.labeled - self.targets)
        self.epoch = 0

    def __len__(self) -> int:
        return max(1, len(self.tracks) * self.options.crops_per_track // self.n_labeled)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        o, top_db = self.options, self.tables.spec.top_db
        order = self._rng(_ORDER).permutation(len(self.tracks) * o.crops_per_track)
        chosen = order[index * self.n_labeled : (index + 1) * self.n_labeled]
        rows = chosen % len(self.tracks)
        cells = [
            self._cells(self.cache.track(int(self.tracks[row])), _WINDOW, int(item))
            for row, item in zip(rows, chosen, strict=True)
        ]
        targets = self.targets[rows]
        if self.n_unlabeled and self.soft is not None and self.soft.cache is not None:
            drawn = self._rng(_UNLABELED, index).choice(len(self.soft.unlabeled), self.n_unlabeled, p=self.chances)
            first = index * self.n_unlabeled
            cells += [
                self._cells(self.soft.cache.track(int(track)), _UNLABELED, first + i, 0)
                for i, track in enumerate(drawn)
            ]
            targets = np.concatenate([targets, self.soft.unlabeled[drawn]])
        windows = network_input(np.stack(cells), top_db)
        if o.augment.mixup:
            mixed, targets = mixup(windows.numpy(), targets, o.augment.mixup, top_db, self._rng(_MIXUP, index))
            windows = torch.from_numpy(mixed)
        return windows, torch.from_numpy(targets)

    def _cells(self, frames_q9: npt.NDArray[np.int16], *purpose: int) -> npt.NDArray[np.int8]:
        window = draw_window(frames_q9, self.options.augment, self.tables, self._rng(*purpose))
        return normalize(window, self.tables).cells

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.options.seed, self.epoch, *purpose))
