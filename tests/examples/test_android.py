"""examples/android as far as a machine without Android goes: the library, golden logits on desktop Java, the Kotlin."""

import json
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.frontend.c_tables import table_blob
from edgegenre_runtime.network.golden import read_golden
from edgegenre_runtime.web.page import web_folder

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples/android/app/src/main"
HERE = Path(__file__).parent / "android"
C = ROOT / "runtime/c"
SOURCES = [APP / "cpp/edgegenre_jni.c", *sorted(C.glob("src/*/*.c"))]
JAVA_HOME = Path(shutil.which("javac") or "/none").resolve().parents[1]
JNI = [f"-I{JAVA_HOME / 'include'}", f"-I{JAVA_HOME / 'include/linux'}"]
STDLIB = Path("/usr/share/java/kotlin-stdlib.jar")
ABIS = {"arm64-v8a": ("aarch64-linux-android24", "AArch64"), "x86_64": ("x86_64-linux-android24", "X86-64")}

COMPILER_RT = """/* what the NDK's compiler-rt has for __builtin_cpu_supports */
struct { unsigned vendor, type, subtype, features[1]; } __cpu_model;
unsigned __cpu_features2;
int __cpu_indicator_init(void);
int __cpu_indicator_init(void) { return 0; }
"""

needs_java = pytest.mark.skipif(not (JAVA_HOME / "include/jni.h").is_file(), reason="needs openjdk-17-jdk-headless")


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_java
@pytest.mark.skipif(shutil.which("clang") is None or shutil.which("ld.lld") is None, reason="needs clang and lld")
@pytest.mark.parametrize("abi", ABIS)
def test_the_library_links_with_pages_of_16_kb(tmp_path, abi):
    target, machine = ABIS[abi]
    out = tmp_path / "libedgegenre_jni.so"
    (tmp_path / "stdio.h").write_text("")  # jni.h includes it, for nothing; the NDK has a C library, this machine none
    freestanding = ["-ffreestanding", "-fno-builtin", "-nostdlibinc", f"-I{tmp_path}", f"-I{C / 'wasm'}"]
    (tmp_path / "rt.c").write_text(COMPILER_RT)
    freestanding += [C / "wasm/string.c", tmp_path / "rt.c"]
    options = ["-std=c99", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wno-pass-failed"]
    link = ["-nostdlib", "-shared", "-fuse-ld=lld", "-Wl,-z,max-page-size=16384", "-Wl,--gc-sections"]
    command = ["clang", f"--target={target}", *options, *link, *JNI, f"-I{C / 'include'}", *freestanding]
    run(*command, *SOURCES, "-o", out)
    header = run("readelf", "-hlW", out)
    assert machine in header
    loads = [line.split() for line in header.splitlines() if line.strip().startswith("LOAD")]
    assert loads
    assert {line[-1] for line in loads} == {"0x4000"}
    symbols = [line.split() for line in run("readelf", "-W", "--dyn-syms", out).splitlines() if " UND " in line]
    missing = {symbol[7].partition("@")[0] for symbol in symbols if len(symbol) > 7}
    assert missing <= {"getauxval"}  # bionic's
    defined = run("readelf", "-W", "--dyn-syms", out)
    for name in ("load", "push", "answer", "sentence"):
        assert f"Java_edgegenre_Engine_{name}" in defined
    assert out.stat().st_size < 200_000


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    if shutil.which("kotlinc") is None or not STDLIB.is_file():
        pytest.skip("needs kotlin")
    out = tmp_path_factory.mktemp("classes")
    run("javac", "-d", out / "stubs", *(HERE / "stubs").rglob("*.java"))
    kotlin = [*(APP / "kotlin").rglob("*.kt"), HERE / "Golden.kt"]
    told = run("kotlinc", "-cp", out / "stubs", *kotlin, "-d", out / "app")
    assert "warning: " not in told.replace("VM warning: ", "")
    return out / "app"


def expected_answer(classifier, frames):
    """What the newest frames give, repeated where they are fewer than a window: the label, and the logits if any."""
    tables, width = classifier.tables, classifier.tables.spec.frames_per_window
    copies = -(-width // frames.shape[1])
    window = normalize(np.tile(frames, (1, copies))[:, :width], tables)
    if not classifier.answer_gate().hears_music(window, is_repeated=copies > 1):
        return ("silence" if window.is_silence else "noise"), None
    logits = classifier.outputs(window.cells).ravel()
    return f"genre {int(np.argmax(logits))}", logits.tolist()


@needs_java
@pytest.mark.slow
def test_kotlin_and_jni_give_the_golden_logits_on_desktop_java(classes, tmp_path):
    run("gcc", "-std=c99", "-O3", "-fPIC", "-shared", *JNI, f"-I{C / 'include'}", *SOURCES, "-o",
        tmp_path / "libedgegenre_jni.so")  # fmt: skip
    classifier = GenreClassifier.load()
    bundle, spec, rate_hz = classifier.bundle, classifier.tables.spec, classifier.tables.spec.sample_rate_hz
    about, heard = json.loads(web_folder(bundle)["bundle.json"]), set()
    detectors = [about[name] for name in ("music_detector", "noise_detector")]
    music = [about["top_db"], *(x for one in detectors for x in (*chain(*one["rows"]), one["bias"]))]
    (tmp_path / "music").write_text(" ".join(map(repr, music)))
    (tmp_path / "mel.blob").write_bytes(table_blob(bundle.tables))
    (tmp_path / "net.eg").write_bytes(bundle.read("net.eg"))
    noise = np.random.default_rng(0).normal(0, 3000, spec.window_samples).astype(np.int16)
    for pcm in (*read_golden(bundle)["pcm"], noise, np.zeros_like(noise)):
        (tmp_path / "pcm").write_bytes(pcm.tobytes())
        java = ["java", "-Xcheck:jni", f"-Djava.library.path={tmp_path}", "-cp", f"{classes}:{STDLIB}"]
        files = [tmp_path / name for name in ("mel.blob", "net.eg", "pcm")]
        said = run(*java, "edgegenre.GoldenKt", *files, rate_hz, len(bundle.labels), tmp_path / "music")
        first, label, logits, refusal = said.splitlines()
        frames = log_mel(pcm, classifier.tables).frames_q9
        n_first = (rate_hz + 4096 - spec.n_fft) // spec.hop_samples + 1
        assert first == expected_answer(classifier, frames[:, :n_first])[0]
        expected, expected_logits = expected_answer(classifier, frames)
        assert label == expected
        assert expected_logits in (None, [int(logit) for logit in logits.split(",")])
        heard.add(label.split()[0])
        assert refusal == "this is no edgegenre table blob"  # and no warning of -Xcheck:jni
    assert heard == {"genre", "noise", "silence"}
