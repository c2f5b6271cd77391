"""The web page's WebAssembly module under wasmtime: the calls that the page's engine.js makes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import wasmtime

_FACTS = ("sample_rate_hz", "n_fft", "hop_samples", "n_mels", "frames_per_window", "n_classes", "logit_zero_point")


class WasmListener:
    """A module loaded with tables and a network; ``error`` is the sentence where it refuses them."""

    def __init__(self, module: Path, mel: bytes, net: bytes) -> None:
        self._store = wasmtime.Store()
        compiled = wasmtime.Module.from_file(self._store.engine, str(module))
        assert not compiled.imports
        self._exports = wasmtime.Instance(self._store, compiled, []).exports(self._store)
        places = [self._put(content) for content in (mel, net)]
        code = self.call("eg_load", places[0], len(mel), places[1], len(net))
        self.error = self._text(self.call("eg_error", code)) if code else None
        values = np.frombuffer(self.read(self.call("eg_facts"), 4 * len(_FACTS)), "<i4")
        self.facts = dict(zip(_FACTS, values.tolist(), strict=True))

    def call(self, name: str, *arguments: float) -> int:
        return self._exports[name](self._store, *arguments)

    def read(self, at: int, n_bytes: int) -> bytes:
        return bytes(self._exports["memory"].read(self._store, at, at + n_bytes))

    def _put(self, content: bytes) -> int:
        at = self.call("eg_alloc", len(content))
        assert at
        self._exports["memory"].write(self._store, content, at)
        return at

    def _text(self, at: int) -> str:
        base = ctypes.addressof(self._exports["memory"].data_ptr(self._store).contents)
        return ctypes.string_at(base + at).decode()

    @property
    def path(self) -> str:
        return self._text(self.call("eg_path"))

    def begin(self, rate_hz: int, block: int = 4096) -> None:
        assert self.call("eg_begin", rate_hz, block) == 0
        self._samples, self._block = self.call("eg_alloc", 4 * block), block

    def resample(self, samples: np.ndarray, *, flush: bool) -> np.ndarray:
        """Return the int16 PCM of float32 samples, at the front-end's rate."""
        parts = []
        for at in range(0, len(samples), self._block):
            part = samples[at : at + self._block].astype("<f4")
            self._exports["memory"].write(self._store, part.tobytes(), self._samples)
            parts.append(self._pcm(self.call("eg_resample", self._samples, len(part))))
        if flush:
            parts.append(self._pcm(self.call("eg_flush")))
        return np.concatenate(parts)

    def _pcm(self, n: int) -> np.ndarray:
        assert n >= 0
        return np.frombuffer(self.read(self.call("eg_pcm"), 2 * n), "<i2")

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Push float32 samples; returns the frames that became complete, int16 [n_mels, n]."""
        rows, hop = [], self.facts["hop_samples"]
        for at in range(0, len(samples), self._block):
            n_pcm = len(self.resample(samples[at : at + self._block], flush=False))
            rows += [
                np.frombuffer(self.read(self.call("eg_frame"), 2 * self.facts["n_mels"]), "<i2")
                for first in range(0, n_pcm, hop)
                if self.call("eg_frames", first, min(hop, n_pcm - first))
            ]
        return np.array(rows, np.int16).reshape(-1, self.facts["n_mels"]).T

    def window(self) -> tuple[np.ndarray, bool]:
        """Return the newest window's cells, int8 [n_mels, frames_per_window], and whether it is silence."""
        silent = self.call("eg_window")
        assert silent >= 0
        shape = self.facts["n_mels"], self.facts["frames_per_window"]
        cells = np.frombuffer(self.read(self.call("eg_cells"), shape[0] * shape[1]), np.int8)
        return cells.reshape(shape), bool(silent)

    def hears_music(self, top_db: float, rows: np.ndarray, bias: float) -> tuple[bool, np.ndarray]:
        """Return whether that window is music by a detector of float64 [19, 4], and its statistics."""
        values = np.array([*np.ravel(rows), bias], "<f8")
        self._exports["memory"].write(self._store, values.tobytes(), self.call("eg_detector"))
        found = self.call("eg_music", float(top_db))
        assert found >= 0
        return found == 1, np.frombuffer(self.read(self.call("eg_statistics"), 8 * len(rows)), "<f8")

    def logits(self) -> np.ndarray:
        """Return the network's logits of that window, int8 [n_classes]."""
        assert self.call("eg_network") == 0
        return np.frombuffer(self.read(self.call("eg_logits"), self.facts["n_classes"]), np.int8)
