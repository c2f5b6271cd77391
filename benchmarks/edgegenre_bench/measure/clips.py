"""Audio files as PCM for parity: whole windows, each clip under a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.printable import printable

__all__ = ["clip_names", "read_clip_pcm"]


def clip_names(files: Sequence[Path]) -> list[str]:
    """Return the files' names, printable; where several have the same, each with its folder, else its whole path."""
    names = [printable(file.name) for file in files]
    for longer in (lambda file: f"{file.parent.name}/{file.name}", str):
        counts = Counter(names)
        names = [printable(longer(file)) if counts[name] > 1 else name for file, name in zip(files, names, strict=True)]
    return names


def read_clip_pcm(file: Path, spec: FrontendSpec) -> npt.NDArray[np.int16]:
    """Return a clip's PCM, int16 [n]; raises :class:`UsageError` if it is shorter than a window."""
    pcm = np.concatenate(list(file_blocks(file, spec.sample_rate_hz)))
    if len(pcm) < spec.window_samples:
        raise UsageError(f"{file}: shorter than a window of {spec.window_s:.1f} s, parity needs whole ones")
    return pcm
