"""Descriptors of timbre, harmony and rhythm, computed by librosa, for inspection.

These are not the front-end: nothing on the device uses them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.figures import write_png
from edgegenre_runtime.errors import AudioError, UsageError
from edgegenre_runtime.frontend import Clip
from edgegenre_runtime.frontend.spec import TOP_DB
from edgegenre_runtime.printable import printable

__all__ = ["HOP_SAMPLES", "KINDS", "check_kind", "describe", "plot_descriptor"]

KINDS = ("chroma", "contrast", "mel", "mfcc", "tempogram", "tonnetz")
N_FFT = 2048
HOP_SAMPLES = 512
_N_MELS, _N_MFCC, _TEMPOGRAM_FRAMES = 128, 20, 384
_ROWS = {
    "chroma": "pitch class",
    "contrast": "octave band",
    "mel": "mel band",
    "mfcc": "coefficient",
    "tempogram": "lag in frames",
    "tonnetz": "tonal axis",
}


def check_kind(kind: str) -> None:
    """Refuse a descriptor that is not in :data:`KINDS`; raises :class:`UsageError`."""
    if kind not in KINDS:
        raise UsageError(f"feature {kind!r} is unknown; there are: {', '.join(KINDS)}")


def describe(clip: Clip, kind: str) -> npt.NDArray[np.float32]:
    """Compute a descriptor, float32 [n, T] at one frame in 512 samples, centered.

    Parameters
    ----------
    clip
        At least 2048 samples, not silent.
    kind
        ``"mel"``: 128 bands in dB below the maximum (−80 to 0). ``"mfcc"``: 20 coefficients of that.
        ``"chroma"``: 12 pitch classes of the power spectrum, 0 to 1. ``"contrast"``: 7 octave bands, peak against
        valley in dB. ``"tempogram"``: autocorrelation of the onset strength at 384 lags, 0 to 1. ``"tonnetz"``: 6
        axes of the chroma, −1 to 1.

    Raises
    ------
    UsageError
        An unknown kind.
    AudioError
        A clip that is too short or silent.
    """
    check_kind(kind)
    if clip.pcm.size < N_FFT:
        raise AudioError(f"too short, {clip.pcm.size} samples; {N_FFT} are needed")
    if not clip.pcm.any():
        raise AudioError("the clip is silent: it has no descriptor")
    import librosa

    y, rate = clip.pcm.astype(np.float32) / 32768, clip.sample_rate_hz
    frame: dict[str, Any] = {"sr": rate, "n_fft": N_FFT, "hop_length": HOP_SAMPLES}
    if kind in ("mel", "mfcc"):
        power = librosa.feature.melspectrogram(y=y, n_mels=_N_MELS, **frame)
        values = librosa.power_to_db(power, ref=np.max, top_db=TOP_DB)
        if kind == "mfcc":
            values = librosa.feature.mfcc(S=values, n_mfcc=_N_MFCC)
    elif kind == "contrast":
        values = librosa.feature.spectral_contrast(y=y, **frame)
    elif kind == "tempogram":
        strength = librosa.onset.onset_strength(y=y, sr=rate, hop_length=HOP_SAMPLES)
        values = librosa.feature.tempogram(
            onset_envelope=strength, sr=rate, hop_length=HOP_SAMPLES, win_length=_TEMPOGRAM_FRAMES
        )
    else:
        values = librosa.feature.chroma_stft(y=y, tuning=0.0, **frame)
        if kind == "tonnetz":
            values = librosa.feature.tonnetz(chroma=values)
    return np.asarray(values, np.float32)


def plot_descriptor(values: npt.NDArray[np.float32], kind: str, sample_rate_hz: int, title: str, path: Path) -> None:
    """Draw a descriptor [n, T] over time as PNG; :class:`DataError` if it cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    extent = (0, values.shape[1] * HOP_SAMPLES / sample_rate_hz, -0.5, values.shape[0] - 0.5)
    image = axes.imshow(values, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="nearest")
    figure.colorbar(image, ax=axes)
    axes.set(xlabel="seconds", ylabel=_ROWS[kind])
    axes.set_title(f"{printable(title)}: {kind}", parse_math=False)
    write_png(figure, path)
