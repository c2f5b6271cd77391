"""edgegenre-run with a virtual USB microphone: PulseAudio's null sink, played into and killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from running import Running
from sound_server import RATE_HZ, SoundServer, as_48_khz_stereo, check_counts, needed

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier

pytest.importorskip("sounddevice", reason="needs PortAudio: apt-get install libportaudio2", exc_type=OSError)


@pytest.fixture(scope="module")
def server():
    needed()
    server = SoundServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    folder = tmp_path_factory.mktemp("song")
    soundfile.write(folder / "a.wav", render("disco", 1, 20.0), 22050, subtype="PCM_16")
    return as_48_khz_stereo(folder / "b.wav", folder / "a.wav")


def cli(server, *arguments):
    command = [sys.executable, "-m", "edgegenre_runtime.run", *arguments]
    return subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=60, check=False)


def test_microphones_are_listed_with_their_rates(server):
    done = cli(server, "--list-mics")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("vmic ")]
    assert "48000, 44100" in line
    assert done.stderr == ""


def test_a_name_that_is_not_there_names_those_that_are(server):
    done = cli(server, "--mic", "flute", "--no-retry")
    assert done.returncode == 3
    assert "no microphone has 'flute' in its name; there are:" in done.stderr
    assert "'vmic'" in done.stderr


def test_doctor_names_the_microphone(server):
    done = cli(server, "--doctor")
    assert done.returncode == 0
    assert re.search(r"^microphone    vmic: 48000, 44100, .* Hz$", done.stdout, re.MULTILINE)
    assert re.search(r"^(network|interpreter) +edgegenre engine, \w+", done.stdout, re.MULTILINE)


def test_muted_and_live_signals(server, song):
    """A silent monitor is all zeros: said once, and taken back when music comes; SIGUSR1 and SIGTERM do their part."""
    environment = server.environment | {"OPENBLAS_NUM_THREADS": "1"}  # NumPy's idle threads: one a core, if at all
    with Running("--mic", "VMIC", "--every", "0.5", env=environment) as run:
        run.wait_for_event("zeros")
        assert {result["label"] for result in run.results} == {"silence"}
        player = server.play(song)
        run.wait_for_event("sound")
        run.wait_for(lambda: run.results[-1]["label"] not in ("silence", "noise"))
        run.process.send_signal(signal.SIGUSR1)
        run.wait_for_event("statistics", timeout_s=3)
        n_tasks = len(os.listdir(f"/proc/{run.process.pid}/task"))
        assert run.stop(signal.SIGTERM) < 2
        player.kill()
        player.wait()
    assert run.process.returncode == 0
    statistics, ended = run.events[-2:]
    assert re.search(r"capture [\d.]+/[\d.]+/[\d.]+, mel .*, network .*, out .*, total ", statistics[1])
    assert ended[0] == "ended"
    assert n_tasks <= 4  # the loop's, the source's, PortAudio's, and one of libpulse
    last = run.results[-1]
    captured = int(ended[1].split()[0])
    assert captured - RATE_HZ < last["captured_samples"] <= captured


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("genre", ["reggae"])
def test_a_clip_played_to_the_microphone_gets_the_genre_of_the_file(server, shared_dir, tmp_path, genre):
    source = shared_dir / "data" / "gtzan" / "clips" / f"{genre}.00000.flac"
    expected = GenreClassifier.load().predict_file(source)
    clip = as_48_khz_stereo(tmp_path / "clip.wav", source, seconds=14)
    with Running("--mic", "vmic", "--smooth", "10", env=server.environment) as run:
        run.wait_for(lambda: run.results)  # capture first, then play
        player = server.play(clip)
        heard = run.wait_for(lambda: [r for r in run.results if r["level_dbfs"] > -60], 30)
        player.wait()
        run.stop()
    heard = [r for r in run.results if r["level_dbfs"] > -60]
    assert heard[-2]["label"] == expected.label
    assert sum(r["dropped_samples"] for r in run.results) == 0
    ends = np.array([r["end_s"] for r in run.results])
    spec = GenreClassifier.load().tables.spec
    whole = ends[
        ends >= spec.frames_per_window * spec.hop_samples / spec.sample_rate_hz
    ]  # parts of a window come before
    assert np.allclose(np.diff(whole), 43 * 512 / 22050, atol=0.0011)


@pytest.mark.slow
def test_a_microphone_pulled_out_three_times_comes_back_and_every_sample_is_accounted_for(song):
    needed()
    server = SoundServer()
    server.start()
    try:
        with Running("--mic", "vmic", "--every", "0.3", env=server.environment) as run:
            run.wait_for_event("live")
            began = time.monotonic()
            for cycle in range(1, 4):
                n_before = len(run.results)
                player = server.play(song)
                run.wait_for(lambda n=n_before: any(r["level_dbfs"] > -60 for r in run.results[n:]))
                server.kill()
                player.wait()
                run.wait_for_event("lost", cycle, timeout_s=5)
                time.sleep(1.5)
                server.start()
                back = time.monotonic()
                run.wait_for_event("live", cycle + 1, timeout_s=10)
                assert time.monotonic() - back < 5
            n_before = len(run.results)
            run.wait_for(lambda: len(run.results) > n_before + 3)
            elapsed_s = time.monotonic() - began
            assert run.stop() < 2
    finally:
        server.close()
    assert [kind for kind, _ in run.events if kind in ("live", "lost")] == ["live", "lost"] * 3 + ["live"]
    captured, lost = check_counts(run.records)
    assert (captured + lost) / RATE_HZ == pytest.approx(elapsed_s, abs=1.5)


def test_a_microphone_that_comes_late_and_one_that_goes_without_retry():
    needed()
    server = SoundServer()
    try:
        with Running("--mic", "vmic", env=server.environment) as run:
            run.wait_for_event("lost")
            assert "microphone" in run.events[0][1]
            server.start()
            run.wait_for_event("live", timeout_s=6)
        with Running("--mic", "vmic", "--no-retry", env=server.environment) as run:
            run.wait_for_event("live")
            server.kill()
            assert run.process.wait(6) == 3
        assert "is gone" in run.errors
    finally:
        server.close()


def test_24_bits_and_16_khz_arrive_whole(tmp_path):
    """A 32-bit microphone: a tone far below 16 bits is there; the queue gets what was played, not a rounded copy."""
    needed()
    server = SoundServer(channels=1, sample_format="s32le")
    server.start()
    try:
        tone = 2.0**-18 * np.sin(2 * np.pi * 1000 * np.arange(3 * RATE_HZ) / RATE_HZ)
        soundfile.write(tmp_path / "tone.wav", tone, RATE_HZ, subtype="PCM_24")
        code = (
            "import sys; import numpy as np; "
            "from edgegenre_runtime.live.microphone import Microphone, refresh; blocks = [];"
            "refresh(); mic = Microphone('vmic', lambda block, lost: blocks.append(block.samples));"
            "print('open', mic.rate_hz, flush=True); sys.stdin.readline(); mic.close();"
            "x = np.concatenate(blocks); print(np.abs(x).max(), len(np.unique(x)))"
        )
        process = subprocess.Popen([sys.executable, "-c", code], env=server.environment, stdin=-1, stdout=-1, text=True)
        assert process.stdout.readline() == "open 48000\n"
        server.play(tmp_path / "tone.wav").wait()
        peak, levels = process.communicate("\n", timeout=20)[0].split()
    finally:
        server.close()
    assert float(peak) == pytest.approx(2.0**-18, rel=0.05)
    assert int(levels) > 20  # a 16-bit sample has one step below 2^-15


@pytest.mark.slow
def test_two_copies_on_one_microphone_both_hear(server, song):
    with Running("--mic", "vmic", env=server.environment) as one:
        one.wait_for_event("live")
        with Running("--mic", "vmic", env=server.environment) as two:
            two.wait_for_event("live")
            two.wait_for(lambda: two.results)
            n_before = len(one.results)
            one.wait_for(lambda: len(one.results) > n_before)


def test_a_read_only_home_is_no_hindrance(server):
    environment = {**server.environment, "PULSE_SERVER": f"unix:{server.folder}/run/pulse/native", "HOME": "/proc"}
    with Running("--mic", env=environment) as run:
        run.wait_for(lambda: run.events)
        assert run.process.poll() is None


def test_without_portaudio_the_remedy_is_named(tmp_path, server):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    environment = {**server.environment}
    environment["PYTHONPATH"] = f"{tmp_path}:{Path(__file__).parents[3] / 'runtime'}"
    command = [sys.executable, "-m", "edgegenre_runtime.run"]
    done = subprocess.run([*command, "--list-mics"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sudo apt install libportaudio2" in done.stderr
    assert done.stderr.count("\n") == 1
    doctor = subprocess.run([*command, "--doctor"], env=environment, capture_output=True, text=True, check=False)
    assert "sudo apt install libportaudio2" in doctor.stdout
    assert doctor.stdout.splitlines()[-1].startswith("verdict       no microphone can be used")
