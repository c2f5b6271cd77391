"""Rows of the database as records, and records as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .records import Analysis, BundleRecord, TrackArrays

__all__ = ["ANALYSIS_COLUMNS", "analysis_of", "fill_arrays", "matrix_of", "top_of", "values_of"]

ANALYSIS_COLUMNS = (
    "size, mtime_ns, content_hash, error, duration_s, label, genres, confidence, probabilities, embedding, n_windows, "
    "warnings"
)
"""What an :class:`Analysis` has of a row of tracks, in its order."""

_TOP = 3


def top_of(analysis: Analysis, bundle: BundleRecord) -> str | None:
    """Return the column ``top``: JSON of the most probable classes; None where there are no probabilities."""
    if analysis.probabilities is None:
        return None
    named = zip(bundle.task.names, analysis.probabilities.tolist(), strict=True)
    best = sorted(named, key=lambda item: -item[1])[:_TOP]
    return json.dumps([[name, round(value, 4)] for name, value in best], ensure_ascii=False)


def values_of(analysis: Analysis) -> tuple[Any, ...]:
    """Return the values of the columns ``ANALYSIS_COLUMNS``."""
    p, e = analysis.probabilities, analysis.embedding
    return (
        analysis.size,
        analysis.mtime_ns,
        analysis.content_hash,
        analysis.error,
        analysis.duration_s,
        analysis.label,
        json.dumps(analysis.genres, ensure_ascii=False),
        analysis.confidence,
        None if p is None else p.astype("<f4").tobytes(),
        None if e is None else e.astype("<f2").tobytes(),
        analysis.n_windows,
        json.dumps(analysis.warnings, ensure_ascii=False) if analysis.warnings else None,
    )


def analysis_of(row: tuple[Any, ...]) -> Analysis:
    """Return the record of the columns ``ANALYSIS_COLUMNS``."""
    size, mtime_ns, digest, error, duration_s, label, genres, confidence, p, e, n_windows, warnings = row
    return Analysis(
        size=size,
        mtime_ns=mtime_ns,
        content_hash=digest,
        error=error,
        duration_s=duration_s,
        label=label,
        genres=tuple(json.loads(genres)),
        confidence=confidence,
        probabilities=_floats(p, "<f4"),
        embedding=_floats(e, "<f2"),
        n_windows=n_windows,
        warnings=tuple(json.loads(warnings or "[]")),
    )


def fill_arrays(arrays: TrackArrays, i: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put rows of id, probabilities, embedding, seconds and hash into arrays from row ``i`` on, all at once."""
    ids, probabilities, embeddings, durations_s, digests = zip(*rows, strict=True)
    there = slice(i, i + len(rows))
    n_names = arrays.probabilities.shape[1]
    missing = np.full(n_names, np.nan, "<f4").tobytes()
    arrays.ids[there], arrays.durations_s[there] = ids, durations_s
    arrays.contents[there] = [int.from_bytes(digest[:8], "little") for digest in digests]
    arrays.probabilities[there] = matrix_of([missing if p is None else p for p in probabilities], "<f4", n_names)
    arrays.embeddings[there] = matrix_of(embeddings, "<f2", arrays.embeddings.shape[1])


def matrix_of(rows: Sequence[bytes], dtype: str, width: int) -> npt.NDArray[Any]:
    """Return rows of bytes as an array [rows, width]; raises ValueError where one is of another width."""
    n_bytes = np.dtype(dtype).itemsize * width
    if any(len(row) != n_bytes for row in rows):
        raise ValueError(f"not all of {width} values")
    return np.frombuffer(b"".join(rows), dtype).reshape(len(rows), width)


def _floats(content: bytes | None, dtype: str) -> npt.NDArray[Any] | None:
    return None if content is None else np.frombuffer(content, dtype)
