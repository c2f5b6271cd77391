"""Rendered toy music, for a checkpoint whose own recordings cannot be shipped."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES

__all__ = ["style_of", "toy_pieces"]

_Pcm = npt.NDArray[np.int16]


def style_of(k: int) -> str:
    """Return the style of the k-th piece: style by style in turn."""
    styles = sorted(STYLES)
    return styles[k % len(styles)]


def toy_pieces(n: int, seed: int, seconds: float, sample_rate_hz: int, processes: int = 1) -> _Pcm:
    """Render pieces of music, int16 [n, n_samples]; piece k has the seed ``seed + k``.

    Parameters
    ----------
    n, seed, seconds, sample_rate_hz
        How many pieces, and how each is rendered.
    processes
        How many processes share the work; this one is the first of them.
    """
    piece = (seed, seconds, sample_rate_hz)
    shares = [range(first, n, processes) for first in range(min(processes, n))]
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_start_worker(share, *piece)) for share in shares[1:]]
        parts = [_render_share(shares[0], *piece)]
        for share, worker in zip(shares[1:], workers, strict=True):
            content = worker.communicate()[0]
            is_whole = worker.returncode == 0 and len(content) == len(share) * parts[0][0].nbytes
            part = np.frombuffer(content, np.int16).reshape(len(share), -1) if is_whole else None
            parts.append(_render_share(share, *piece) if part is None else part)
    pieces = np.empty((n, parts[0].shape[1]), np.int16)
    for share, part in zip(shares, parts, strict=True):
        pieces[share] = part
    return pieces


def _render_share(share: Iterable[int], seed: int, seconds: float, sample_rate_hz: int) -> _Pcm:
    return np.stack([render(style_of(k), seed + k, seconds, sample_rate_hz) for k in share])


def _start_worker(share: range, *piece: float) -> subprocess.Popen[bytes]:
    """Start a process that writes the raw PCM of a share; multiprocessing would run the caller's main module again."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import _render_share; "
        f"sys.stdout.buffer.write(_render_share({share!r}, *{piece!r}).tobytes())"
    )
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
