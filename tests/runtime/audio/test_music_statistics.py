"""The statistics of a window: C gives the bits that NumPy states, in every build that can be made here."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgegenre_runtime.audio import music_statistics
from edgegenre_runtime.audio.music_detector import MusicDetector
from edgegenre_runtime.audio.music_statistics import STATISTICS, native_score, reference_statistics, window_statistics
from edgegenre_runtime.frontend import released

ROOT = Path(__file__).resolve().parents[3]
SOURCE, INCLUDE = ROOT / "runtime/c/src/music/edgegenre_music.c", f"-I{ROOT / 'runtime/c/include'}"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-fPIC", "-shared"]
BUILDS = {"gcc -O3": ["gcc", "-O3"], "gcc -O0": ["gcc", "-O0"], "clang fused": ["clang", "-O3", "-mfma"]}


def windows():
    """Return windows of many shapes and levels, and the extremes."""
    rng = np.random.default_rng(0)
    shapes = [(128, 128)] * 8 + [(int(rng.integers(2, 257)), int(rng.integers(8, 257))) for _ in range(12)]
    shapes += [(2, 8), (256, 256)]
    for shape in shapes:
        level, spread = rng.integers(-128, 128), rng.integers(1, 90)
        yield np.clip(rng.normal(level, spread, shape), -128, 127).astype(np.int8)
    for shape in ((128, 128), (256, 256)):
        yield np.full(shape, -128, np.int8)
        yield np.full(shape, 127, np.int8)
        yield np.where(rng.random(shape) < 0.5, -128, 127).astype(np.int8)


@pytest.fixture(params=BUILDS)
def library(request, tmp_path, monkeypatch):
    command = BUILDS[request.param]
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    subprocess.run([*command, *STRICT, INCLUDE, SOURCE, "-o", tmp_path / "music.so"], check=True)
    built = ctypes.CDLL(str(tmp_path / "music.so"))
    built.edgegenre_music_statistics.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_size_t, ctypes.c_void_p]
    monkeypatch.setattr(music_statistics, "_library", lambda: built)
    return built


@pytest.mark.parametrize("preset", ["seed3s", "wide9s"])
def test_c_gives_the_bits_of_the_reference(library, preset):
    spec = released(preset).spec
    for cells in windows():
        found, expected = window_statistics(cells, spec), reference_statistics(cells, spec)
        assert found.tobytes() == expected.tobytes()


def test_the_score_is_the_same_too(library):
    rng, n = np.random.default_rng(1), len(STATISTICS)
    library.edgegenre_music_score.restype = ctypes.c_double
    library.edgegenre_music_score.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double]
    for _ in range(200):
        detector = MusicDetector(
            tuple(rng.normal(size=n)), tuple(rng.random(n) + 0.1), tuple(rng.normal(size=2 * n)), float(rng.normal())
        )
        rows, statistics = np.array(detector.rows()), rng.normal(0, 2, n)
        found = library.edgegenre_music_score(statistics.ctypes.data, rows.ctypes.data, detector.bias)
        assert found == detector.score(statistics) == native_score(statistics, rows, detector.bias)


def test_wrong_calls_are_refused(library):
    shape = music_statistics._Shape(128, 128, 22050, 512, 80.0)
    cells, scratch, out = np.zeros((128, 128), np.int8), np.zeros(1000), np.zeros(len(STATISTICS))
    run, n_bytes = library.edgegenre_music_statistics, ctypes.c_size_t(16 * 128 + 40 * 128)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (cells, scratch, out)]

    def call(shape=shape, n_bytes=n_bytes, missing=None):
        given = [None if i == missing else pointer for i, pointer in enumerate(pointers)]
        return run(ctypes.byref(shape) if shape else None, given[0], given[1], n_bytes, given[2])

    assert call() == 0
    assert [call(missing=i) for i in range(3)] == [1, 1, 1]
    assert call(shape=None) == call(n_bytes=ctypes.c_size_t(n_bytes.value - 1)) == 1
    for wrong in ((1, 128, 22050, 512, 80), (257, 128, 22050, 512, 80), (128, 7, 22050, 512, 80),
                  (128, 257, 22050, 512, 80), (128, 128, 22050, 0, 80), (128, 128, 22050, 512, 0),
                  (128, 128, 22050, 512, float("nan"))):  # fmt: skip
        assert call(shape=music_statistics._Shape(*wrong)) == 1


def test_windows_beyond_what_c_takes_are_left_to_the_reference():
    cells = np.random.default_rng(2).integers(-128, 128, (300, 40)).astype(np.int8)
    assert np.isfinite(window_statistics(cells, released("seed3s").spec)).all()
