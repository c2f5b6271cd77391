"""The tracks that artifacts are compared on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgegenre.data.feature_cache import load_cache
from edgegenre_export.inputs.reference_tracks import cache_tracks, toy_pcm, toy_tracks
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import released


def test_tracks_of_a_cache(small_cache: Path) -> None:
    tables = released("wide9s")
    cache = load_cache(small_cache, tables)
    tracks = cache_tracks(cache, tables, "test", "small.npz")
    assert len(tracks.names) == len(tracks.truth) == 8
    assert tracks.source == "the test part of small.npz"
    empty = dataclasses.replace(cache, split=np.zeros_like(cache.split))
    with pytest.raises(DataError, match="no tracks"):
        cache_tracks(empty, tables, "test", "small.npz")
    with pytest.raises(UsageError):
        cache_tracks(cache, tables, "holdout", "small.npz")


def test_toy_tracks_have_no_truth() -> None:
    tables = released("seed3s")
    tracks = toy_tracks(tables)
    assert (len(tracks.names), len(set(tracks.names)), tracks.truth) == (40, 40, None)
    assert {len(windows) for windows in tracks.windows} == {2}
    pcm, single = toy_pcm(tables)
    assert pcm.shape == (40, tables.spec.window_samples)
    assert single.cells.shape == (40, 128, 128)
