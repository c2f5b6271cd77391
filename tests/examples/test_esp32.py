"""examples/esp32 built for this machine with stand-ins of ESP-IDF's headers: golden PCM in, the engine's logits out."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgegenre.cli import main
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.network.golden import read_golden

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "esp32"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    out = tmp_path_factory.mktemp("esp32") / "made"
    assert main(["codegen", "c", "default", "--board", "cortex-m4", "--out", str(out)]) == 0
    return out


def test_the_microphones_samples_give_the_same_answers(library, tmp_path):
    classifier = GenreClassifier.load()
    tables = classifier.tables
    pcm = read_golden(classifier.bundle)["pcm"][1]
    (tmp_path / "pcm").write_bytes((pcm.astype("<i4") << 16).tobytes())
    sources = [ROOT / "examples/esp32/src/main.c", *library.glob("edgegenre_*.c")]
    flags = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-DEDGEGENRE_MEL_PORTABLE", "-DEDGEGENRE_NET_PORTABLE"]
    command = ["gcc", *flags, f'-DPCM="{tmp_path}/pcm"', f"-I{HERE}", f"-I{library}", *sources, "-o", tmp_path / "main"]
    subprocess.run(command, check=True, capture_output=True)
    lines = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout.splitlines()
    frames = log_mel(pcm, tables).frames_q9
    per_answer = -(-tables.spec.sample_rate_hz // tables.spec.hop_samples)
    n_genres = 0
    assert len(lines) == frames.shape[1] // per_answer > 1
    for i, line in enumerate(lines):
        so_far = frames[:, : (i + 1) * per_answer][:, -tables.spec.frames_per_window :]
        copies = -(-tables.spec.frames_per_window // so_far.shape[1])
        window = normalize(np.tile(so_far, (1, copies))[:, : tables.spec.frames_per_window], tables)
        logits = classifier.outputs(window.cells)
        is_whole = so_far.shape[1] == tables.spec.frames_per_window
        if not classifier.answer_gate().hears_music(window, is_repeated=not is_whole):
            assert line == "noise"
            continue
        n_genres += 1
        assert line.split() == [classifier.labels[int(logits.argmax())], *map(str, logits.ravel().tolist())]
    assert n_genres
