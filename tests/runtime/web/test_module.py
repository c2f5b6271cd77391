"""The prebuilt WebAssembly module: made by the sources that are here, and with the bits of the specification."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
import soxr
from wasm_listener import WasmListener

import build_wasm
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.audio.music_statistics import reference_statistics
from edgegenre_runtime.frontend import log_mel, native, normalize, released
from edgegenre_runtime.frontend.c_tables import table_blob
from edgegenre_runtime.network.answer_gate import read_detector
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import find_bundle
from edgegenre_runtime.network.golden import golden_key, read_golden

MODULES = {name: build_wasm.PAGE / name for name in build_wasm.MODULES}
RATES = (22050, 48000, 44100, 32000, 16000, 8000, 96000)


@pytest.fixture(scope="module")
def bundle():
    return GenreClassifier.load().bundle


@pytest.fixture(params=MODULES)
def module(request):
    return MODULES[request.param]


def is_clang_14():
    tools = shutil.which("clang") and shutil.which("wasm-ld")
    return tools and b"version 14." in subprocess.run(["clang", "--version"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.skipif(not is_clang_14(), reason="needs clang 14 and wasm-ld, which the committed modules are built with")
def test_it_is_what_the_sources_make(name):
    built = build_wasm.build_module(build_wasm.MODULES[name])
    assert built == MODULES[name].read_bytes(), "run python scripts/build_wasm.py"


@pytest.mark.parametrize("name", ["default", "accurate"])
def test_golden_pcm_gives_golden_frames_cells_and_logits(module, name):
    bundle = read_bundle(find_bundle(name))
    golden = read_golden(bundle)
    listener = WasmListener(module, table_blob(bundle.tables), bundle.read("net.eg"))
    assert listener.error is None
    assert listener.path == ("portable" if "plain" in module.name else "simd128")
    expected = golden[golden_key("net.eg")]
    for i, pcm in enumerate(golden["pcm"]):
        listener.begin(bundle.tables.spec.sample_rate_hz)
        frames = listener.frames(pcm / np.float32(32768))
        cells, is_silence = listener.window()
        assert np.array_equal(frames, golden["frames_q9"][i])
        assert np.array_equal(cells, golden["cells"][i])
        assert is_silence == golden["is_silence"][i]
        assert np.array_equal(listener.logits(), expected[i])
    assert len(expected) > 2


def test_it_hears_music_as_python_does(module, bundle):
    golden, detector, spec = read_golden(bundle), read_detector(bundle), bundle.tables.spec
    listener, heard = WasmListener(module, table_blob(bundle.tables), bundle.read("net.eg")), set()
    noise = np.random.default_rng(0).normal(0, 3000, golden["pcm"].shape[1]).astype(np.int16)
    for pcm in [*golden["pcm"], noise]:
        listener.begin(spec.sample_rate_hz)
        listener.frames(pcm / np.float32(32768))
        expected = reference_statistics(listener.window()[0], spec)
        is_music, statistics = listener.hears_music(spec.top_db, np.array(detector.rows()), detector.bias)
        assert np.array_equal(statistics, expected)
        assert is_music == bool(detector.score(expected) >= 0)
        heard.add(is_music)
    assert heard == {False, True}


@pytest.mark.parametrize("preset", ["seed3s", "wide9s"])
def test_every_preset_and_a_window_of_less_than_a_window(module, bundle, preset):
    tables = released(preset)
    listener = WasmListener(module, table_blob(tables), bundle.read("net.eg"))
    pcm = np.random.default_rng(1).normal(0, 3000, 40 * tables.spec.hop_samples + 2048).astype(np.int16)
    listener.begin(tables.spec.sample_rate_hz, block=5000)
    frames = listener.frames(pcm / np.float32(32768))
    assert np.array_equal(frames, log_mel(pcm, tables).frames_q9)
    repeated = np.tile(frames, (1, 4))[:, : tables.spec.frames_per_window]
    assert np.array_equal(listener.window()[0], normalize(repeated, tables).cells)


def test_what_is_cut_or_of_another_version_is_refused_with_a_sentence(module, bundle):
    mel, net = table_blob(bundle.tables), bundle.read("net.eg")
    for damaged, reason in (
        ((mel[:-4], net), "cut"),
        ((mel[:8] + b"\x09" + mel[9:], net), "version"),
        ((mel[:5000] + b"\x55" + mel[5001:], net), "CRC-32"),
        ((mel, net[:-4]), "cut"),
        ((mel, net[:8] + b"\x63" + net[9:]), "version"),
        ((mel, net[:9000] + bytes([net[9000] ^ 1]) + net[9001:]), "checksum"),
        ((mel, b"<html>not found</html>  "), "network"),
    ):
        listener = WasmListener(module, *damaged)
        assert listener.error is not None
        assert reason in listener.error
        assert listener.call("eg_begin", 48000, 128) != 0


class NativeResampler:
    """The same source in the compiled library."""

    def __init__(self, in_rate_hz, out_rate_hz):
        self._lib = ctypes.CDLL(str(native.LIBRARY))
        size = self._lib.edgegenre_resample_arena_bytes
        size.restype = ctypes.c_size_t
        self._arena, self._state = (
            np.zeros(size(in_rate_hz, out_rate_hz) + 4, np.uint8),
            ctypes.create_string_buffer(96),
        )
        room = self._arena.ctypes.data + -self._arena.ctypes.data % 4
        assert not self._lib.edgegenre_resample_init(
            self._state, ctypes.c_void_p(room), ctypes.c_size_t(len(self._arena) - 4), in_rate_hz, out_rate_hz
        )

    def __call__(self, samples, chunk):
        out, n, parts = np.zeros(1 << 17, np.int16), ctypes.c_size_t(), []
        to = ctypes.c_void_p(out.ctypes.data), ctypes.c_size_t(len(out)), ctypes.byref(n)
        for at in range(0, len(samples), chunk):
            part = np.ascontiguousarray(samples[at : at + chunk], np.float32)
            data = ctypes.c_void_p(part.ctypes.data), ctypes.c_size_t(len(part))
            assert not self._lib.edgegenre_resample_push(self._state, *data, *to)
            parts.append(out[: n.value].copy())
        assert not self._lib.edgegenre_resample_flush(self._state, *to)
        return np.concatenate([*parts, out[: n.value]])


def music(rate_hz):
    """Noise with the spectrum of music, 2 s, float32."""
    rng = np.random.default_rng(rate_hz)
    spectrum = np.fft.rfft(rng.normal(size=2 * rate_hz)) / np.sqrt(np.arange(1, rate_hz + 2))
    noise = np.fft.irfft(spectrum, 2 * rate_hz)
    return (noise / noise.std() / 5).astype(np.float32)


@pytest.mark.skipif(native.load() is None, reason="needs the compiled library")
@pytest.mark.parametrize("rate_hz", RATES)
def test_the_resampler_gives_the_same_bits_everywhere_and_almost_soxrs(module, bundle, rate_hz):
    listener, samples = WasmListener(module, table_blob(bundle.tables), bundle.read("net.eg")), music(rate_hz)
    listener.begin(rate_hz)
    pcm = listener.resample(samples, flush=True)
    for chunk in (7, 4096, 1 << 16):
        assert np.array_equal(NativeResampler(rate_hz, 22050)(samples, chunk), pcm)
    if rate_hz == 22050:
        assert np.array_equal(pcm, np.clip(np.rint(samples * 32768), -32768, 32767))
        return
    expected = soxr.resample(samples, rate_hz, 22050, quality="HQ") * 32768
    assert abs(len(pcm) - len(expected)) <= 1
    middle = slice(1000, len(expected) - 1000)
    error = pcm[middle] - expected[middle]
    assert 10 * np.log10(np.mean(expected[middle] ** 2) / np.mean(error**2)) > 55


@pytest.mark.skipif(native.load() is None, reason="needs the compiled library")
def test_samples_that_are_not_finite_or_too_loud(bundle):
    samples = np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 1e30, 0.5], np.float32)
    pcm = NativeResampler(22050, 22050)(samples, 3)
    assert pcm.tolist() == [0, 0, 0, 32767, -32768, 32767, 16384]
    assert np.abs(NativeResampler(48000, 22050)(np.full(5000, np.nan, np.float32), 999)).max() == 0
