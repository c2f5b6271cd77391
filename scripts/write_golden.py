"""Write tests/golden/frontend_v1: run once when the arithmetic gets a new version, then never again.

The files are the contract that every implementation must meet bit for bit. If this script changes them without a new
SPEC_VERSION, the front-end was broken.
"""

import json
from pathlib import Path

import numpy as np

from edgegenre_runtime.frontend import FrontendSpec, log_mel, normalize, released
from edgegenre_runtime.frontend.fft import real_fft
from edgegenre_runtime.frontend.log2 import log2_q9
from edgegenre_runtime.frontend.melbank import mel_sums
from edgegenre_runtime.frontend.power import bin_power
from edgegenre_runtime.frontend.tables import design
from edgegenre_runtime.frontend.window import block_window

OUT = Path(__file__).parent.parent / "tests" / "golden" / "frontend_v1"
TOY = FrontendSpec(sample_rate_hz=8000, n_fft=8, hop_samples=4, n_mels=2, fmax_hz=4000, frames_per_window=2)


def lcg_pcm(n_samples: int, seed: int) -> np.ndarray:
    """Return int16 noise that any language can make: x = 1664525 x + 1013904223 mod 2**32, its top 16 bits."""
    out, x = [], seed
    for _ in range(n_samples):
        x = (1664525 * x + 1013904223) % 2**32
        out.append((x >> 16) - 32768)
    return np.array(out, dtype=np.int16)


def toy() -> dict:
    """Every stage of an 8-point front-end, small enough to follow with a pencil."""
    tables = design(TOY)
    frames = np.array([[0, 0, 0, 0, 16384, 0, 0, 0], [100, 200, 300, 400, -400, -300, -200, -100]], dtype=np.int16)
    windowed, shift = block_window(frames, tables)
    re, im = real_fft(windowed, tables)
    power = bin_power(re, im)
    sums = mel_sums(power, tables)
    logs = log2_q9(sums, shift, tables)
    window = normalize(logs, tables)
    arrays = {"frames": frames, "windowed": windowed, "shift": shift, "re": re, "im": im, "power": power}
    arrays |= {"sums": sums, "log_mel_q9": logs, "cells": window.cells}
    return {"tables": json.loads(tables.to_json())} | {name: array.tolist() for name, array in arrays.items()}


def preset_case(name: str) -> dict:
    """Four frames of a released preset on noise that any language can make."""
    tables = released(name)
    pcm = lcg_pcm(tables.spec.n_fft + 3 * tables.spec.hop_samples, seed=1)
    quiet = pcm // 1024
    return {
        "spec_hash": tables.spec_hash,
        "pcm": "lcg_pcm(n_fft + 3 * hop_samples, seed=1)",
        "log_mel_q9": log_mel(pcm, tables).frames_q9.tolist(),
        "quiet_pcm": "floor(pcm / 1024)",
        "quiet_log_mel_q9": log_mel(quiet, tables).frames_q9.tolist(),
    }


if __name__ == "__main__":
    for name, content in {"toy": toy(), "seed3s": preset_case("seed3s"), "wide9s": preset_case("wide9s")}.items():
        (OUT / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
