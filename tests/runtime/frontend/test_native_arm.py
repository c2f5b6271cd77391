"""NEON and DSP code of the front-end on emulated processors, for every size of FFT: the bits of the reference."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgegenre_runtime.frontend import FrontendSpec, numpy_reference, released
from edgegenre_runtime.frontend.c_tables import table_blob
from edgegenre_runtime.frontend.tables import design

ROOT = Path(__file__).resolve().parents[3]
C = ROOT / "runtime" / "c"
ARMV6 = ["-march=armv6", "-mfpu=vfp", "-mfloat-abi=softfp", "-marm"]
BUILDS = {
    "cortex-a72": ("aarch64-linux-gnu-gcc", "qemu-aarch64", "neon", []),
    "cortex-a7": ("arm-linux-gnueabihf-gcc", "qemu-arm", "neon", ["-mfpu=neon"]),
    "arm1176": ("arm-linux-gnueabi-gcc", "qemu-arm", "dsp", ARMV6),
}
SMALL_PATH = {"cortex-a72": "portable", "cortex-a7": "dsp"}
"""Frames below 128 samples have no vectors."""


def every_size():
    for n_fft, n_mels in ((8, 2), (32, 4), (128, 8), (512, 16), (8192, 128)):
        yield design(FrontendSpec("custom", 1, 8000, n_fft, n_fft // 2, n_mels, fmax_hz=4000, frames_per_window=4))
    yield released("seed3s")


def compiled(folder, cpu, c=C):
    compiler, emulator, _, options = BUILDS[cpu]
    if not shutil.which(compiler) or not shutil.which(emulator):
        pytest.skip(f"needs {compiler} and {emulator}")
    sources = [ROOT / "tests" / "c" / "mel_run.c", *sorted((c / "src" / "mel").glob("*.c"))]
    command = [compiler, "-std=c99", "-O3", "-static", *options, "-I", C / "include", *sources, "-o", folder / cpu]
    subprocess.run(list(map(str, command)), check=True)
    return [emulator, "-cpu", cpu, folder / cpu]


def frames_of(command, folder, tables, pcm):
    (folder / "blob").write_bytes(table_blob(tables))
    (folder / "pcm").write_bytes(pcm.astype("<i2").tobytes())
    run = [*command, folder / "blob", folder / "pcm"]
    done = subprocess.run(list(map(str, run)), capture_output=True, text=True, check=True)
    path, *lines = done.stdout.splitlines()
    return path, np.array([line.split() for line in lines], dtype=np.int16).T


def signals(n):
    rng = np.random.default_rng(3)
    noise, at = rng.integers(-32768, 32768, n), np.arange(n)
    sine = np.rint(32767 * np.sin(at * 0.37))
    return [noise, noise // 2**13, np.full(n, -32768), np.zeros(n), sine, sine // 2**10]


@pytest.mark.parametrize("cpu", BUILDS)
def test_every_size_of_fft_gives_the_references_bits(tmp_path, cpu):
    command = compiled(tmp_path, cpu)
    for tables in every_size():
        n_fft = tables.spec.n_fft
        for pcm in signals(2 * n_fft + 100):
            pcm = pcm.astype(np.int16)
            path, frames = frames_of(command, tmp_path, tables, pcm)
            assert path == (BUILDS[cpu][2] if n_fft >= 128 or cpu == "arm1176" else SMALL_PATH[cpu])
            assert np.array_equal(frames, numpy_reference.log_mel(pcm, tables).frames_q9), n_fft


MUTATIONS = [
    ("cortex-a72", "lanes_neon64.h", "vqrdmulhq_lane_s32(r.b, s, 1)", "vqdmulhq_lane_s32(r.b, s, 1)"),
    ("cortex-a72", "lanes_neon64.h", "vmlal_high_u16(vmlal", "vmlsl_high_u16(vmlal"),
    ("cortex-a7", "lanes_neon.h", "vmlal_u16(high, vld1_u16(upper), w)", "high"),
    ("arm1176", "lanes_scalar.h", "smmulr", "smmul"),
    ("arm1176", "lanes_scalar.h", "smmlar", "smmla"),
]


@pytest.mark.parametrize(("cpu", "file", "right", "wrong"), MUTATIONS)
def test_a_changed_instruction_is_noticed(tmp_path, cpu, file, right, wrong):
    c = shutil.copytree(C, tmp_path / "c")
    changed = c / "src" / "mel" / f"edgegenre_mel_{file}"
    assert changed.read_text().count(right) == 1
    changed.write_text(changed.read_text().replace(right, wrong))
    command, tables = compiled(tmp_path, cpu, c), released("seed3s")
    same = []
    for pcm in signals(6000):
        frames = frames_of(command, tmp_path, tables, pcm.astype(np.int16))[1]
        same.append(np.array_equal(frames, numpy_reference.log_mel(pcm.astype(np.int16), tables).frames_q9))
    assert not all(same)
