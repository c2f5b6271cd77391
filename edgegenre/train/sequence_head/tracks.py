"""Training tracks as sequences of window embeddings, of a frozen encoder or of one that is trained."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.data.windows import cut_windows, window_hop_frames
from edgegenre.evaluate.embeddings import embed, embed_and_classify
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import Network
from edgegenre_runtime.frontend import Tables

from .options import HeadOptions

__all__ = ["HeadBatch", "HeadTracks"]

_MIN_SHARE = 0.5

HeadBatch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, "torch.Tensor | None"]
"""Embeddings [B, T, D], which of them are there [B, T], classes [B], and the encoder's logits [B, T, C] if trained."""


class HeadTracks:
    """The training tracks.

    A track is there in several shifts, whose windows begin at other frames; a batch takes half to all of the windows of
    one of them in a row. Embeddings of a frozen encoder are computed once.

    Parameters
    ----------
    network
        The encoder.
    cache, tables, options
        The data and how to train.
    """

    def __init__(self, network: Network, cache: FeatureCache, tables: Tables, options: HeadOptions) -> None:
        self.network, self.options, self.top_db = network, options, tables.spec.top_db
        tracks = cache.tracks_of("train")
        self.y = torch.from_numpy(cache.y[tracks].astype(np.int64))
        width = tables.spec.frames_per_window
        hop = window_hop_frames(width)
        self.cells: list[list[npt.NDArray[np.int8]]] = []
        for track in tracks:
            frames = cache.track(int(track))
            starts = {i * hop // options.shifts for i in range(options.shifts)}
            usable = [start for start in sorted(starts) if not start or frames.shape[1] - start >= width]
            self.cells.append([cut_windows(frames[:, start:], tables) for start in usable])
        self.embeddings: list[list[torch.Tensor]] = []
        if not options.encoder_rate:
            self.embeddings = [[embed(network, network_input(one, self.top_db)) for one in row] for row in self.cells]

    def all_embeddings(self) -> torch.Tensor:
        """Return the embeddings of every training window, unshifted, float32 [N, D]."""
        if self.embeddings:
            return torch.cat([row[0] for row in self.embeddings])
        return embed(self.network, network_input(np.concatenate([row[0] for row in self.cells]), self.top_db))

    def __len__(self) -> int:
        return -(-len(self.cells) // self.options.batch_size)

    def batches(self, epoch: int) -> list[tuple[int, npt.NDArray[np.int64]]]:
        """Return number and tracks of each batch of an epoch."""
        order = np.random.default_rng((self.options.seed, epoch)).permutation(len(self.cells)).astype(np.int64)
        return list(enumerate(np.array_split(order, len(self))))

    def batch(self, epoch: int, number: int, tracks: npt.NDArray[np.int64]) -> HeadBatch:
        """Return a batch; its content depends on seed, epoch and number alone."""
        rng = np.random.default_rng((self.options.seed, epoch, number))
        chosen = []
        for track in tracks:
            shift = int(rng.integers(len(self.cells[track])))
            n = len(self.cells[track][shift])
            length = int(rng.integers(max(1, round(_MIN_SHARE * n)), n + 1))
            first = int(rng.integers(n - length + 1))
            chosen.append((int(track), shift, slice(first, first + length)))
        lengths = [part.stop - part.start for _, _, part in chosen]
        if self.embeddings:
            rows = [self.embeddings[track][shift][part] for track, shift, part in chosen]
            logits = None
        else:
            cells = np.concatenate([self.cells[track][shift][part] for track, shift, part in chosen])
            vectors, window_logits = embed_and_classify(self.network, network_input(cells, self.top_db))
            rows = list(torch.split(vectors, lengths))
            logits = torch.nn.utils.rnn.pad_sequence(list(torch.split(window_logits, lengths)), batch_first=True)
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        is_there = torch.arange(padded.shape[1])[None] < torch.tensor(lengths)[:, None]
        return padded, is_there, self.y[tracks], logits
