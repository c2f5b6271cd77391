"""Design of the integer tables: the only floating point of the front-end, run once and rounded once.

What runs anywhere is the committed result (``released/*.json``), read by :func:`released`. A test checks that
:func:`design` still gives those integers; nothing else calls it.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.sha256 import sha256

from .decibels import Q9_PER_DB
from .spec import PRESETS, FrontendSpec, preset

__all__ = ["LOG2_SEGMENT_BITS", "POWER_SHIFT", "Tables", "design", "mel_edges_hz", "mel_weights", "released"]

LOG2_SEGMENT_BITS = 6
"""The log2 table has ``2**6`` straight segments to an octave."""
POWER_SHIFT = 13
"""Bits dropped from a bin's power so that a mel sum with 16-bit weights fits in 63 bits."""

_FORMAT_VERSION = 1
_DTYPES: dict[str, type[np.integer[Any]]] = {
    "window_q15": np.int16,
    "quarter_sine_q31": np.int32,
    "band_start": np.int16,
    "band_length": np.int16,
    "band_weight": np.uint16,
    "band_offset_q15": np.int32,
    "log2_q15": np.uint16,
}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The integers of a front-end. All arrays are read-only; ``M = n_mels``, ``N = n_fft``.

    Attributes
    ----------
    spec
        The parameters they were designed from.
    window_q15
        int16 [N], periodic Hann in Q15 (its peak saturates at 32767).
    quarter_sine_q31
        int32 [N // 4 + 1], ``sin(2 pi i / N)`` in Q31, saturated at ``2**31 - 1``.
    band_start, band_length
        int16 [M], first FFT bin of a mel band and the number of its weights.
    band_weight
        uint16 [sum(band_length)], Slaney area-normalized weights, each band scaled to a peak of 65535.
    band_offset_q15
        int32 [M], what to add to log2 of a band's integer sum, in Q15, to undo every scaling.
    log2_q15
        uint16 [2**6 + 1], ``log2(1 + i / 64)`` in Q15.
    silence_q9
        A window whose largest log-mel is below this (Q9) is silence.
    norm_gain_q22
        int8 steps a Q9 unit of log-mel, in Q22.
    norm_limit_q9
        ``top_db`` in Q9 units of log2 power.
    """

    spec: FrontendSpec
    window_q15: npt.NDArray[np.int16]
    quarter_sine_q31: npt.NDArray[np.int32]
    band_start: npt.NDArray[np.int16]
    band_length: npt.NDArray[np.int16]
    band_weight: npt.NDArray[np.uint16]
    band_offset_q15: npt.NDArray[np.int32]
    log2_q15: npt.NDArray[np.uint16]
    silence_q9: int
    norm_gain_q22: int
    norm_limit_q9: int
    spec_hash: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            array = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        self._check_shapes()
        canonical = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "spec_hash", sha256(canonical.encode()).hexdigest())

    def _check_shapes(self) -> None:
        N, M = self.spec.n_fft, self.spec.n_mels
        start, length = self.band_start.astype(int), self.band_length.astype(int)
        fits = (
            self.window_q15.shape == (N,)
            and self.quarter_sine_q31.shape == (N // 4 + 1,)
            and start.shape == length.shape == self.band_offset_q15.shape == (M,)
            and self.log2_q15.shape == (2**LOG2_SEGMENT_BITS + 1,)
            and bool((start >= 0).all() and (length >= 1).all() and (start + length <= N // 2 + 1).all())
            and self.band_weight.shape == (int(length.sum()),)
        )
        if not fits:
            raise SpecError("front-end tables do not fit their spec: the file is damaged or hand-made")

    def _content(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name).tolist() for name in _DTYPES}
        scalars = {name: getattr(self, name) for name in ("silence_q9", "norm_gain_q22", "norm_limit_q9")}
        return {"format_version": _FORMAT_VERSION, "spec": self.spec.to_dict(), **arrays, **scalars}

    def to_json(self) -> str:
        """Return the tables as JSON text, with their hash under ``spec_hash``."""
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self._content().items()]
        lines.append(f'"spec_hash": "{self.spec_hash}"')
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Tables:
        """Read :meth:`to_json`; raises :class:`SpecError` for another version, unknown keys or a wrong hash."""
        try:
            content = parse_json(text)
            version, claimed = content.pop("format_version"), content.pop("spec_hash")
            if version != _FORMAT_VERSION:
                raise SpecError(f"front-end tables are of format {version}; this edgegenre reads {_FORMAT_VERSION}")
            tables = cls(spec=FrontendSpec.from_dict(content.pop("spec")), **content)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise SpecError(f"front-end tables cannot be read ({error}): the file is damaged") from error
        if tables.spec_hash != claimed:
            raise SpecError("front-end tables do not match their hash: the file is damaged or hand-made")
        return tables


def released(name: str) -> Tables:
    """Return the committed tables of a preset; raises :class:`SpecError` for a name that is not released."""
    spec = preset(name)
    text = (importlib.resources.files(__package__) / "released" / f"{name}.json").read_text("utf-8")
    tables = Tables.from_json(text)
    if tables.spec != spec:
        raise SpecError(f"released tables {name}.json belong to another spec: reinstall edgegenre")
    return tables


def mel_edges_hz(spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return the corners of the mel triangles in Hz, float64 [n_mels + 2]; ``[1:-1]`` are the bands' centers.

    Source: Slaney, *Auditory Toolbox* (1998): linear to 1 kHz at 200/3 Hz a mel, then logarithmic with
    27 mels to a factor of 6.4.
    """
    hz_per_mel, knee_hz, log_step = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0

    def to_mel(hz: float) -> float:
        return hz / hz_per_mel if hz < knee_hz else knee_hz / hz_per_mel + float(np.log(hz / knee_hz)) / log_step

    mels = np.linspace(to_mel(spec.fmin_hz), to_mel(spec.fmax_hz), spec.n_mels + 2)
    knee = knee_hz / hz_per_mel
    return np.asarray(np.where(mels < knee, mels * hz_per_mel, knee_hz * np.exp(log_step * (mels - knee))))


def mel_weights(spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return triangular mel weights over :func:`mel_edges_hz` with area norm, float64 [n_mels, n_bins].

    Each triangle has unit area over frequency. Equals ``librosa.filters.mel(htk=False, norm="slaney")``.
    """
    edges_hz = mel_edges_hz(spec)
    bins_hz = np.arange(spec.n_bins) * (spec.sample_rate_hz / spec.n_fft)
    low, mid, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    triangles = np.minimum((bins_hz - low) / (mid - low), (high - bins_hz) / (high - mid))
    return np.asarray(np.maximum(triangles, 0.0) * (2.0 / (high - low)))


def _bands(spec: FrontendSpec) -> dict[str, npt.NDArray[Any]]:
    weights = mel_weights(spec)
    peak = weights.max(axis=1)
    if (peak <= 0).any():
        raise SpecError(f"{spec.n_mels} mel bands are too many for n_fft {spec.n_fft}: some hold no FFT bin")
    scaled = np.rint(weights * (65535.0 / peak)[:, None]).astype(np.int64)
    used = scaled > 0
    start = used.argmax(axis=1)
    stop = spec.n_bins - used[:, ::-1].argmax(axis=1)
    # acc = sum(weight * (power << 2 * 15 >> 2 * shift >> POWER_SHIFT)); the frame's shift is added at run time
    offset = POWER_SHIFT - 30 + np.log2(peak / 65535.0)
    return {
        "band_start": start,
        "band_length": stop - start,
        "band_weight": np.concatenate([row[a:b] for row, a, b in zip(scaled, start, stop, strict=True)]),
        "band_offset_q15": np.rint(offset * 2**15),
    }


def design(spec: FrontendSpec) -> Tables:
    """Compute the tables of ``spec`` in float64 and round them once."""
    N = spec.n_fft
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / N)
    sine = np.sin(2 * np.pi * np.arange(N // 4 + 1) / N)
    octave_segments = np.arange(2**LOG2_SEGMENT_BITS + 1) / 2**LOG2_SEGMENT_BITS
    sine_power = (2**15 * 10 ** (spec.silence_dbfs / 20) * N / 4) ** 2
    return Tables(
        spec=spec,
        window_q15=np.minimum(np.rint(hann * 2**15), 2**15 - 1).astype(np.int16),
        quarter_sine_q31=np.minimum(np.rint(sine * 2**31), 2**31 - 1).astype(np.int32),
        log2_q15=np.rint(np.log2(1 + octave_segments) * 2**15).astype(np.uint16),
        silence_q9=int(np.rint(512 * np.log2(sine_power * _peak_weight_at(spec, 1000.0)))),
        norm_gain_q22=int(np.rint(255.0 / (spec.top_db * Q9_PER_DB) * 2**22)),
        norm_limit_q9=int(np.rint(spec.top_db * Q9_PER_DB)),
        **_bands(spec),
    )


def _peak_weight_at(spec: FrontendSpec, hz: float) -> float:
    """Return the largest mel weight at the FFT bin nearest to ``hz``."""
    return float(mel_weights(spec)[:, round(hz * spec.n_fft / spec.sample_rate_hz)].max())


def write_released(folder: Any) -> None:
    """Write ``released/*.json`` for every preset into ``folder`` (a path); run once per release, by hand."""
    for name, spec in PRESETS.items():
        (folder / f"{name}.json").write_text(design(spec).to_json(), encoding="utf-8")
