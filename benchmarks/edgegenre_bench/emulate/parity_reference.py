"""What parity.c must print: the same PCM and cells through the NumPy front-end and the NumPy network."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.frontend import normalize, released
from edgegenre_runtime.frontend.numpy_reference import MelStream

__all__ = ["N_NOISE", "STAGES", "parity_header", "reference_hashes"]

N_NOISE = 70000
STAGES = ("frames", "windows", "network", "chain")
"""What is hashed: log-mel frames, windows, logits on noise, logits on every :data:`NETWORK_EVERY`-th window."""
NOISE_WINDOWS, NETWORK_EVERY = 6, 16
_MAX_CHUNK, _START = 5000, 0xCBF29CE484222325

Cells = npt.NDArray[np.int8]


def parity_header(n_music: int, music_file: str, n_noise: int) -> str:
    """Return ``pcm.h`` for parity.c."""
    numbers = {"N_NOISE": n_noise, "N_MUSIC": n_music, "NOISE_WINDOWS": NOISE_WINDOWS, "NETWORK_EVERY": NETWORK_EVERY}
    lines = [f"#define {name} {value}{'u' if name[1] == '_' else ''}" for name, value in numbers.items()]
    return "\n".join([*lines, f'#define MUSIC_FILE "{music_file}"', ""])


def reference_hashes(
    music: npt.NDArray[np.int16], run_network: Callable[[Cells], Cells], n_noise: int = N_NOISE
) -> dict[str, str]:
    """Return the hash of each of :data:`STAGES`, 16 hexadecimal digits.

    Parameters
    ----------
    music
        PCM behind the noise, int16 [n].
    run_network
        int8 cells [n_mels, frames] to int8 logits [n_classes].
    n_noise
        Samples of loud and of quiet noise.
    """
    frames = windows = noise = chain = _START
    for cells in _noise_windows():
        noise = _fnv1a(noise, run_network(cells).tobytes())
    n_windows = 0
    for new, window in _stream(music, n_noise):
        frames = _fnv1a(frames, new.T.astype("<i2").tobytes())
        if window is None:
            continue
        cells, is_silence = window
        windows = (_fnv1a(windows, cells.tobytes()) + is_silence) % 2**64
        if n_windows % NETWORK_EVERY == 0:
            chain = _fnv1a(chain, run_network(cells).tobytes())
        n_windows += 1
    return {name: f"{value:016x}" for name, value in zip(STAGES, (frames, windows, noise, chain), strict=True)}


def _noise_windows() -> Iterator[Cells]:
    state = 3
    for window in range(NOISE_WINDOWS):
        cells = []
        for _ in range(128 * 128):
            state = _lcg(state)
            cells.append(((state >> 24) - 128) >> window)
        yield np.array(cells, np.int8).reshape(128, 128)


def _stream(
    music: npt.NDArray[np.int16], n_noise: int
) -> Iterator[tuple[npt.NDArray[np.int16], tuple[Cells, bool] | None]]:
    """Yield each push's new frames, and the window behind it."""
    tables = released("seed3s")
    stream, pcm, width = MelStream(tables), _signal(music, n_noise), tables.spec.frames_per_window
    frames = np.empty((tables.spec.n_mels, 0), dtype=np.int16)
    at, state = 0, 2
    while at < len(pcm):
        state = _lcg(state)
        chunk = min((state >> 8) % (_MAX_CHUNK + 1), len(pcm) - at)
        new = stream.push(pcm[at : at + chunk])
        frames = np.concatenate((frames, new), axis=1)[:, -width:]
        window = normalize(frames, tables) if frames.shape[1] == width else None
        yield new, None if window is None else (window.cells, window.is_silence)
        at += chunk


def _lcg(x: int) -> int:
    return (1664525 * x + 1013904223) % 2**32


def _signal(music: npt.NDArray[np.int16], n_noise: int) -> npt.NDArray[np.int16]:
    """Return the PCM that parity.c runs on, int16 [2 * n_noise + len(music)]."""
    noise, x = [], 1
    for _ in range(2 * n_noise):
        x = _lcg(x)
        noise.append((x >> 16) - 32768)
    pcm = np.array(noise, dtype=np.int16)
    return np.concatenate((pcm[:n_noise], pcm[n_noise:] >> 10, music))


def _fnv1a(state: int, data: bytes) -> int:
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state
