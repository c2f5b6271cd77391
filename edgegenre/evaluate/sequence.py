"""A model that answers after each window of a track: a checkpoint or a bundle with a head."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgegenre.checkpoint import load_checkpoint, to_module
from edgegenre.heads.checkpoint import load_head
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import CheckpointError

from .scoring import head_answers, network_input

if TYPE_CHECKING:
    from edgegenre.models import Network

__all__ = ["SequencePredictor", "is_bundle", "open_head"]

SequencePredictor = Callable[[npt.NDArray[np.int8]], npt.NDArray[np.float32]]
"""From the windows of one track, int8 [n, M, T], to the probabilities after each of them, float32 [n, C]."""


def is_bundle(model: Path) -> bool:
    """Return whether a path is that of a bundle, folder or ``.zip``."""
    return model.suffix == ".zip" or os.path.exists(model / "manifest.json")


def open_head(model: Path) -> SequencePredictor | None:
    """Return what answers after each window of a track, of a checkpoint or bundle with a head; None without.

    Raises
    ------
    CheckpointError
        If the head is damaged or of another encoder.
    """
    if is_bundle(model):
        return _bundle_head(GenreClassifier.load(model))
    trained = load_head(model)
    if trained is None:
        return None
    head, checkpoint = trained.head(), load_checkpoint(model)

    @functools.cache
    def network() -> Network:
        return to_module(checkpoint)

    def answer(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        from .embeddings import embed

        vectors = embed(network(), network_input(cells, checkpoint.spec.top_db)).numpy()
        if vectors.shape[1] != head.config.embedding_size:
            raise CheckpointError(
                f"{model}: the head takes embeddings of {head.config.embedding_size} values, the encoder gives "
                f"{vectors.shape[1]}: train the head again"
            )
        return head_answers(head, vectors)

    return answer


def _bundle_head(classifier: GenreClassifier) -> SequencePredictor | None:
    def answer(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        stream = classifier.head_stream()
        assert stream is not None  # noqa: S101  # asked below
        hop_s = stream.hop_s
        return np.stack([classifier.answer_along(stream, one, i * hop_s)[0] for i, one in enumerate(cells)])

    return None if classifier.head is None else answer
