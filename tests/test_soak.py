"""Half an hour of audio fed at many times real time: flat memory, no lost sample, right time stamps."""

import subprocess
import sys

import pytest
import soundfile

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier
from soak import RATE_HZ, soak


@pytest.mark.slow
def test_memory_is_flat_and_every_sample_is_there():
    run = soak(minutes=30)
    spec = GenreClassifier.load().tables.spec
    hop_s = round(spec.sample_rate_hz / spec.hop_samples) * spec.hop_samples / spec.sample_rate_hz  # of --every 1
    assert run.lost_samples == 0
    assert run.captured_samples > run.audio_s * RATE_HZ - RATE_HZ
    assert run.largest_step_s < hop_s + 0.0011
    assert run.audio_s - hop_s - 0.2 < run.last_end_s <= run.audio_s
    assert run.answers == pytest.approx(run.audio_s / hop_s, abs=2)
    assert max(run.rss_kb[1:]) - min(run.rss_kb[1:]) < 2048
    assert max(run.rss_kb) < 90 * 1024


def test_a_file_needs_little_memory(tmp_path):
    soundfile.write(tmp_path / "a.wav", render("disco", 1, 20.0), 22050)
    code = (
        "import sys; from edgegenre_runtime.run import main; assert main([sys.argv[1]]) == 0;"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]);"
        "lazy = {'_hashlib', 'http.server', 'paho', 'sounddevice', 'typer', 'onnxruntime'} & set(sys.modules);"
        "assert not lazy, lazy"
    )
    command = [sys.executable, "-c", code, tmp_path / "a.wav"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout.splitlines()[-1]) < 60 * 1024
