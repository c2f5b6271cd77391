"""The C implementation against the NumPy reference: the same bits, tolerance 0; and what it says to wrong calls."""

import ctypes
import dataclasses
import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre_runtime.errors import SpecError, UsageError
from edgegenre_runtime.frontend import (
    FrontendSpec,
    native,
    normalize,
    released,
)
from edgegenre_runtime.frontend import (
    implementation as implementation,
)
from edgegenre_runtime.frontend import (
    numpy_reference as mel,
)
from edgegenre_runtime.frontend.c_tables import c_header, stage_twiddles_q31, table_blob
from edgegenre_runtime.frontend.spec import FFT_SIZES, PRESETS
from edgegenre_runtime.frontend.tables import design
from write_golden import lcg_pcm

ROOT = Path(__file__).resolve().parents[3]
C = ROOT / "runtime" / "c"
INCLUDE = ["-I", str(C / "include")]
SOURCES = [str(path) for path in sorted((C / "src" / "mel").glob("*.c"))]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]

pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang to compile the C implementation")

SMALL = {
    n_fft: design(FrontendSpec("custom", 1, 8000, n_fft, hop, n_mels, fmax_hz=4000, frames_per_window=4))
    for n_fft, hop, n_mels in zip(FFT_SIZES, (3, 100, 48, 100, 512, 3000), (2, 4, 8, 16, 40, 128), strict=True)
}
"""One front-end for each size of FFT; hops shorter and longer than a frame."""


def compile_c(*arguments):
    done = subprocess.run([COMPILERS[0], *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", autouse=True)
def preset_tables(tmp_path_factory):
    """The tables that firmware includes, generated as `edgegenre codegen tables` does."""
    folder = tmp_path_factory.mktemp("tables")
    for name in PRESETS:
        (folder / f"tables_{name}.h").write_text(c_header(released(name)))
    INCLUDE.extend(["-I", str(folder)])
    yield
    del INCLUDE[2:]


@pytest.fixture(scope="module", params=["vectors", "portable"])
def library(request, tmp_path_factory):
    """The implementation compiled now from the sources, with and without vector code."""
    path = tmp_path_factory.mktemp("native") / f"{request.param}.so"
    portable = ["-DEDGEGENRE_MEL_PORTABLE"] if request.param == "portable" else []
    compile_c("-O2", "-fPIC", "-shared", *INCLUDE, *portable, *SOURCES, "-o", path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "LIBRARY", path)
        yield request.param


def streamed(tables, pcm, chunks):
    stream = native.NativeMelStream(tables)
    pieces = np.split(pcm, np.cumsum(chunks)) if chunks else [pcm]
    return np.concatenate([stream.push(piece) for piece in pieces], axis=1)


def window_of(stream):
    spec = stream.tables.spec
    cells, silence = np.empty((spec.n_mels, spec.frames_per_window), np.int8), ctypes.c_int(-1)
    error = native.load().edgegenre_mel_window(stream._state, cells.ctypes.data, cells.size, ctypes.addressof(silence))
    return error, cells, bool(silence.value)


def pcm_of(kind, n, rng):
    at = np.arange(n)
    return {
        "noise": rng.integers(-32768, 32768, n),
        "quiet noise": rng.integers(-2, 3, n),
        "silence": np.zeros(n),
        "square": np.where(at % int(rng.integers(2, 200)) < 8, 32767, -32768),
        "impulse": np.where(at == n // 2, -32768, 0),
        "DC": np.full(n, int(rng.integers(-32768, 32768))),
        "worst": np.full(n, -32768),
        "sine": np.rint(32767 * np.sin(at * rng.uniform(0, np.pi))),
        "loud, then quiet": np.where(at < n // 2, rng.integers(-32768, 32768, n), rng.integers(-1, 2, n)),
    }[kind].astype(np.int16)


KINDS = ["noise", "quiet noise", "silence", "square", "impulse", "DC", "worst", "sine", "loud, then quiet"]


@pytest.mark.parametrize("name", ["seed3s", "wide9s"])
def test_golden_frames(library, name):
    golden = json.loads((ROOT / "tests/golden/frontend_v1" / f"{name}.json").read_text())
    tables = released(name)
    pcm = lcg_pcm(tables.spec.n_fft + 3 * tables.spec.hop_samples, seed=1)
    assert native.log_mel(pcm, tables).frames_q9.tolist() == golden["log_mel_q9"]
    assert native.log_mel(pcm // 1024, tables).frames_q9.tolist() == golden["quiet_log_mel_q9"]
    assert native.log_mel(pcm, tables).spec_hash == golden["spec_hash"]
    expected = "portable" if library == "portable" or not _has_vectors() else ("avx2", "neon")
    assert native.NativeMelStream(tables).path in expected


def _has_vectors():
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx2" in flags or "asimd" in flags


@settings(deadline=None, max_examples=150)
@given(
    n_fft=st.sampled_from(FFT_SIZES),
    kind=st.sampled_from(KINDS),
    chunks=st.lists(st.integers(1, 5000) | st.just(0), max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pcm_in_any_chunks_gives_the_references_bits(library, n_fft, kind, chunks, seed):
    tables = SMALL[n_fft]
    pcm = pcm_of(kind, sum(chunks) + 777, np.random.default_rng(seed))
    expected = mel.log_mel(pcm, tables).frames_q9
    assert np.array_equal(streamed(tables, pcm, chunks), expected)
    assert np.array_equal(native.log_mel(pcm, tables).frames_q9, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["seed3s", "wide9s"])
def test_presets_frames_and_windows(library, name, kind):
    tables = released(name)
    spec = tables.spec
    pcm = pcm_of(kind, spec.window_samples + 5 * spec.hop_samples, np.random.default_rng(5))
    stream = native.NativeMelStream(tables)
    frames, rest = stream.push(pcm[:-777]), stream.push(pcm[-777:])
    together = np.concatenate((frames, rest), axis=1)
    assert np.array_equal(together, mel.log_mel(pcm, tables).frames_q9)
    error, cells, is_silence = window_of(stream)
    expected = normalize(np.ascontiguousarray(together[:, -spec.frames_per_window :]), tables)
    assert error == 0
    assert np.array_equal(cells, expected.cells)
    assert is_silence is expected.is_silence


@pytest.mark.shared
def test_real_clips(library, shared_dir):
    tables = released("seed3s")
    for clip in sorted((shared_dir / "data/gtzan/clips").glob("*.flac")):
        pcm = soundfile.read(clip, dtype="int16")[0]
        assert np.array_equal(native.log_mel(pcm, tables).frames_q9, mel.log_mel(pcm, tables).frames_q9), clip.name


@pytest.mark.parametrize(
    ("name", "at", "by"),
    [
        ("window_q15", 1024, -1024),
        ("quarter_sine_q31", 256, 2**20),
        ("band_start", 40, 1),
        ("band_weight", 1000, 4096),
        ("band_offset_q15", 64, 64),
        ("log2_q15", 32, 32),
    ],
)
def test_a_changed_table_changes_both_implementations_alike(library, name, at, by):
    tables = released("seed3s")
    values = getattr(tables, name).astype(np.int64)
    values[at] += by
    changed = dataclasses.replace(tables, **{name: values})
    pcm = lcg_pcm(8192, seed=3)
    frames = native.log_mel(pcm, changed).frames_q9
    assert np.array_equal(frames, mel.log_mel(pcm, changed).frames_q9)
    assert not np.array_equal(frames, native.log_mel(pcm, tables).frames_q9)


MUTATIONS = [
    ("lanes_scalar.h", "(int64_t)a * b + (1 << 30)", "(int64_t)a * b"),
    ("lanes_scalar.h", "x + (int32_t)(1u << (shift - 1))", "x"),
    ("lanes_scalar.h", "((int64_t)a + b) >> 1", "((int64_t)a + b + 1) >> 1"),
    ("lanes_scalar.h", "(int64_t)a * b + ((int64_t)1 << 31)", "(int64_t)a * b"),
    ("lanes_avx2.h", "_mm256_set1_epi64x(1LL << 31));\n}\n\n/* Rot", "_mm256_setzero_si256());\n}\n\n/* Rot"),
    ("lanes_avx2.h", "_mm256_add_epi64(product, product), _mm256_set1_epi64x(1LL << 31)", "product, product"),
    ("lanes_avx2.h", "shift > 0 ? 1 << (shift - 1) : 0", "0"),
    ("lanes_avx2.h", "(a, b), 1), _mm256_andnot_si256(a, b)", "(a, b), 1), _mm256_and_si256(a, b)"),
    ("lanes_avx2.h", "_mm256_add_epi32(_mm256_and_si256(a, b)", "_mm256_add_epi32(_mm256_or_si256(a, b)"),
    ("frame.c", "position + (1 << (LOG2_LOW_BITS - 1))", "position"),
    ("frame.c", "(total_q15 + 32) >> 6", "total_q15 >> 6"),
    ("frame.c", "POWER_SHIFT 13", "POWER_SHIFT 14"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "right", "wrong"), MUTATIONS)
def test_one_rounding_changed_in_c_is_noticed(tmp_path, monkeypatch, file, right, wrong):
    if "avx2" in file and not _has_vectors():
        pytest.skip("needs AVX2")
    folder = shutil.copytree(C / "src" / "mel", tmp_path / "c")
    changed = folder / f"edgegenre_mel_{file}"
    text = changed.read_text()
    assert text.count(right) == 1
    changed.write_text(text.replace(right, wrong))
    portable = ["-DEDGEGENRE_MEL_PORTABLE"] if "scalar" in file else []
    sources = sorted(folder.glob("*.c"))
    compile_c(*INCLUDE, "-O1", "-fPIC", "-shared", *portable, *sources, "-o", tmp_path / "mutant.so")
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "mutant.so")
    tables, rng = released("seed3s"), np.random.default_rng(9)  # tones leave bins so low that a unit counts
    signals = [pcm_of(kind, 30000, rng) // 2**down for kind in ("noise", "sine", "square") for down in (0, 3, 10)]
    same = [np.array_equal(native.log_mel(p, tables).frames_q9, mel.log_mel(p, tables).frames_q9) for p in signals]
    assert not all(same)


def test_stage_twiddles_by_hand():
    tables = SMALL[32]  # n = 16: one stage, q = 4, twiddles of 2 pi p j / 16
    angle = 2 * np.pi * np.outer([1, 2, 3], np.arange(4)) / 16
    expected = np.stack((np.cos(angle), np.sin(angle)), axis=1).reshape(-1)
    np.testing.assert_allclose(stage_twiddles_q31(tables) / 2**31, expected, rtol=0, atol=6e-10)
    assert len(stage_twiddles_q31(released("seed3s"))) == 2048 - 8
    assert len(stage_twiddles_q31(SMALL[8])) == 0


@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiles_without_a_warning(compiler, tmp_path):
    for extra in ([], ["-DEDGEGENRE_MEL_PORTABLE"]):
        for source in (*SOURCES, str(C / "examples" / "classify_wav.c"), str(ROOT / "tests/c/misuse.c")):
            command = [
                compiler,
                *STRICT,
                *INCLUDE,
                "-O2",
                *extra,
                "-c",
                source,
                "-o",
                str(tmp_path / "x.o"),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def chunk(name, content):
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def wav_format(rate_hz=22050, channels=1, bits=16, tag=1):
    align = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * align, align, bits))


@pytest.fixture(scope="module")
def example(tmp_path_factory, preset_tables):
    path = tmp_path_factory.mktemp("example") / "example"
    compile_c("-O2", *INCLUDE, C / "examples" / "classify_wav.c", *SOURCES, "-o", path)
    return path


def test_cmake(tmp_path):
    if not shutil.which("cmake"):
        pytest.skip("needs cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        f'cmake_minimum_required(VERSION 3.13)\nproject(app C)\nadd_subdirectory("{C}" mel)\n'
        f'add_executable(app "{C / "examples" / "classify_wav.c"}")\ntarget_link_libraries(app edgegenre_mel)\n'
        f'target_include_directories(app PRIVATE "{INCLUDE[-1]}")\n'
    )
    for command in (["cmake", "-S", tmp_path, "-B", tmp_path / "b"], ["cmake", "--build", tmp_path / "b"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "b" / "app").exists()


def test_the_example_gives_the_windows_bytes(tmp_path, example):
    tables = released("seed3s")
    pcm = lcg_pcm(tables.spec.window_samples + 300, seed=4)
    soundfile.write(tmp_path / "clip.wav", pcm, 22050, subtype="PCM_16")
    wav = (tmp_path / "clip.wav").read_bytes()
    done = subprocess.run([example], input=wav, capture_output=True, check=True)
    assert done.stdout == normalize(mel.log_mel(pcm, tables).frames_q9, tables).cells.tobytes()
    done = subprocess.run([example], input=b"no wav", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"standard input is not a WAV file\n")


def run_example(example, *chunks):
    riff = b"WAVE" + b"".join(chunks)
    return subprocess.run([example], input=b"RIFF" + len(riff).to_bytes(4, "little") + riff, capture_output=True)


def test_the_example_reads_samples_and_nothing_else(example):
    tables = released("seed3s")
    pcm = lcg_pcm(tables.spec.window_samples, seed=5)
    expected = normalize(mel.log_mel(pcm, tables).frames_q9, tables).cells.tobytes()
    data = chunk(b"data", pcm.astype("<i2").tobytes())
    odd = chunk(b"LIST", b"INFOx")  # 5 bytes and one of padding
    assert run_example(example, odd, wav_format(), odd, data, odd * 4000).stdout == expected
    assert run_example(example, wav_format(tag=0xFFFE), data).stdout == expected
    streamed = b"data" + b"\xff" * 4 + data[8:]
    assert run_example(example, wav_format(), streamed).stdout == expected


@pytest.mark.parametrize(
    "chunks",
    [
        [wav_format(rate_hz=48000), chunk(b"data", bytes(400000))],
        [wav_format(channels=2), chunk(b"data", bytes(400000))],
        [wav_format(bits=24), chunk(b"data", bytes(400000))],
        [wav_format(tag=3), chunk(b"data", bytes(400000))],
    ],
    ids=["rate", "stereo", "24 bits", "float"],
)
def test_the_example_refuses_what_it_does_not_take(example, chunks):
    done = run_example(example, *chunks)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"must be 16-bit mono PCM at the front-end's sample rate" in done.stderr


def test_the_example_says_when_there_are_no_samples(example):
    for chunks in ([], [wav_format()], [chunk(b"data", bytes(1000)), wav_format()]):
        assert b"has no samples" in run_example(example, *chunks).stderr


def sanitized(*arguments, output):
    compile_c(*STRICT, *SANITIZE, *INCLUDE, *arguments, *SOURCES, "-o", output)


@pytest.mark.parametrize("extra", [[], ["-DEDGEGENRE_MEL_PORTABLE"]], ids=["vectors", "portable"])
def test_wrong_calls_under_the_sanitizers(tmp_path, extra):
    sanitized(*extra, ROOT / "tests/c/misuse.c", output=tmp_path / "misuse")
    done = subprocess.run([tmp_path / "misuse"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("extra", [[], ["-DEDGEGENRE_MEL_PORTABLE"]], ids=["vectors", "portable"])
def test_mutated_blobs_and_any_pcm_under_the_sanitizers(tmp_path, extra):
    compile_c(*SANITIZE, "-DSTANDALONE", *extra, *INCLUDE, ROOT / "tests/c/fuzz.c", *SOURCES,
              "-o", tmp_path / "fuzz")  # fmt: skip
    for tables, rounds in ((SMALL[8], 6000), (SMALL[128], 1500), (released("seed3s"), 60)):
        (tmp_path / "blob").write_bytes(table_blob(tables))
        command = [tmp_path / "fuzz", tmp_path / "blob", str(rounds), "7"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def read_blob(content, shift=0):
    room = native._aligned(len(content) + 8)
    room[shift : shift + len(content)] = np.frombuffer(content, np.uint8)
    library = native.load()
    struct = np.full(library.edgegenre_mel_tables_bytes(), 0xAA, np.uint8)
    error = library.edgegenre_mel_tables_from_blob(struct.ctypes.data, room.ctypes.data + shift, len(content))
    assert error == 0 or (struct == 0xAA).all(), "a refused blob must leave the tables alone"
    return library.edgegenre_mel_strerror(error).decode() if error else "ok"


def with_crc(content):
    return content[:16] + zlib.crc32(content[20:]).to_bytes(4, "little") + content[20:]


def patched(content, at, value, n_bytes=4):
    return content[:at] + value.to_bytes(n_bytes, "little") + content[at + n_bytes :]


def test_a_blob_that_is_damaged_is_refused_with_its_reason(library):
    blob = table_blob(SMALL[128])
    assert read_blob(blob) == "ok"
    assert "no edgegenre table blob" in read_blob(b"RIFF" + blob[4:])
    assert "version" in read_blob(patched(blob, 8, 2))
    assert "version" in read_blob(with_crc(patched(blob, 20, 2)))
    for cut in (0, 7, 9, 11, 100, 128, len(blob) - 1):
        assert "cut" in read_blob(blob[:cut]), cut
    assert "cut" in read_blob(blob + b"\0")
    assert "not aligned" in read_blob(blob, shift=1)
    for at in range(20, len(blob), 97):
        assert "CRC-32" in read_blob(patched(blob, at, blob[at] ^ 1, 1)), at


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (28, 64, "fit"),  # n_fft
        (28, 512, "length"),
        (32, 0, "fit"),  # hop
        (36, 0, "fit"),  # n_mels
        (36, 9, "length"),
        (48, 0, "fit"),  # frames_per_window
        (48, 5000, "fit"),
        (64, 2**31 - 1, "fit"),  # gain that would overflow
        (68, 0, "fit"),
        (72, 2**32 - 1, "fit"),  # weights
        (76, 32, "fit"),
        (128, 5, "fit"),  # sine of 0
        (132, 2**31 - 1, "fit"),  # a twiddle that is too long
    ],
)
def test_a_blob_with_a_right_hash_and_impossible_contents_is_refused(library, at, value, says):
    assert says in read_blob(with_crc(patched(table_blob(SMALL[128]), at, value)))


def test_tables_that_c_refuses_say_so(library):
    tables = released("seed3s")
    values = tables.quarter_sine_q31.astype(np.int64)
    values[0] = 1
    with pytest.raises(SpecError, match="do not fit their spec"):
        native.NativeMelStream(dataclasses.replace(tables, quarter_sine_q31=values))


def test_offsets_that_would_leave_32_bits_are_refused(library):
    tables = released("seed3s")
    values = tables.band_offset_q15.astype(np.int64)
    for value in (2**30, -(2**30)):  # the largest: the log is clipped as the reference's
        values[7] = value
        changed, pcm = dataclasses.replace(tables, band_offset_q15=values), lcg_pcm(4096, seed=2)
        assert np.array_equal(native.log_mel(pcm, changed).frames_q9, mel.log_mel(pcm, changed).frames_q9)
        values[7] += np.sign(value)
        with pytest.raises(SpecError, match="do not fit their spec"):
            native.NativeMelStream(dataclasses.replace(tables, band_offset_q15=values))


def test_window_before_it_is_ready_and_reset(library):
    tables = SMALL[128]
    stream = native.NativeMelStream(tables)
    assert window_of(stream)[0] == 9
    stream.push(lcg_pcm(1000, seed=1))
    assert window_of(stream)[0] == 0
    stream.reset()
    assert window_of(stream)[0] == 9
    pcm = lcg_pcm(999, seed=2)
    assert np.array_equal(stream.push(pcm[::1]), mel.log_mel(pcm, tables).frames_q9)


@pytest.mark.parametrize("pcm", [np.zeros(4096), np.zeros((2, 4096), np.int16), np.zeros(4096, ">i2")])
def test_pcm_of_another_kind_is_refused(library, pcm):
    with pytest.raises(SpecError, match="int16"):
        native.NativeMelStream(SMALL[128]).push(pcm)


def test_pcm_with_strides_or_unaligned(library):
    tables, pcm = SMALL[128], lcg_pcm(3000, seed=2)
    odd = np.frombuffer(b"\0" + pcm.tobytes(), np.uint8)[1:].view(np.int16)
    for view, plain in ((pcm[::-3], pcm[::-3].copy()), (odd, pcm)):
        assert np.array_equal(native.log_mel(view, tables).frames_q9, mel.log_mel(plain, tables).frames_q9)


class TestChoice:
    def test_numpy_is_forced(self, library, monkeypatch):
        monkeypatch.setenv("EDGEGENRE_FRONTEND", "numpy")
        assert implementation.active_implementation() == "numpy"
        assert isinstance(implementation.MelStream(SMALL[8])._stream, mel.MelStream)

    @pytest.mark.parametrize("value", ["", "c"])
    def test_c_is_chosen_where_it_is(self, library, monkeypatch, value):
        monkeypatch.setenv("EDGEGENRE_FRONTEND", value)
        assert implementation.active_implementation() == "c"
        assert isinstance(implementation.MelStream(SMALL[8])._stream, native.NativeMelStream)

    def test_without_a_library(self, monkeypatch, tmp_path):
        monkeypatch.setattr(native, "LIBRARY", tmp_path / "none.so")
        monkeypatch.setenv("EDGEGENRE_FRONTEND", "")
        assert implementation.active_implementation() == "numpy"
        monkeypatch.setenv("EDGEGENRE_FRONTEND", "c")
        with pytest.raises(UsageError, match="install a C compiler"):
            implementation.active_implementation()
        with pytest.raises(SpecError, match="missing"):
            native.NativeMelStream(SMALL[8])

    def test_a_library_of_another_kind_counts_as_none(self, monkeypatch, tmp_path):
        (tmp_path / "broken.so").write_bytes(b"\x7fELF nonsense")
        monkeypatch.setattr(native, "LIBRARY", tmp_path / "broken.so")
        assert native.load() is None

    def test_an_unknown_name(self, monkeypatch):
        monkeypatch.setenv("EDGEGENRE_FRONTEND", "rust")
        with pytest.raises(UsageError, match="allowed are c and numpy"):
            implementation.active_implementation()


@pytest.mark.slow
def test_threads_do_not_disturb_each_other(library):
    from concurrent.futures import ThreadPoolExecutor

    tables = released("seed3s")
    clips = [lcg_pcm(40000, seed=seed) for seed in range(8)]
    expected = [mel.log_mel(clip, tables).frames_q9 for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        for frames, right in zip(
            pool.map(lambda clip: native.log_mel(clip, tables).frames_q9, clips), expected, strict=True
        ):
            assert np.array_equal(frames, right)
