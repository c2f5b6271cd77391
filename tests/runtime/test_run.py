"""edgegenre-run and the classifier with the shipped bundle, as a person on a device uses them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from json_records import valid_records
from onnx_bundle import SHIPPED_ONNX

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import AudioError, BundleError, SpecError, UsageError
from edgegenre_runtime.frontend import Clip, Window
from edgegenre_runtime.network import engine
from edgegenre_runtime.network.classifier import SILENCE, default_bundle
from edgegenre_runtime.run import main

RATE_HZ = 22050


@pytest.fixture(scope="module")
def classifier():
    return GenreClassifier.load()


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, render("hiphop", 1, 20.0), RATE_HZ, subtype="PCM_16")
    return path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_text_line(capsys, classifier, song):
    code, out, err = run(capsys, song)
    answer = classifier.predict_file(song)
    assert (code, err) == (0, "")
    assert out.startswith(f"{song}: {answer.label}  [{answer.top3[0][0]} {answer.top3[0][1]:.2f}  ")
    heard_s = answer.windows[-1].end_s
    assert f"({len(answer.windows)} windows, 0.0-{heard_s:.1f} s of 20.0 s, mel " in out
    assert out.count("\n") == 1


def test_json_lines(capsys, classifier, song):
    code, out, _ = run(capsys, "--json", song)
    rows = valid_records(out.splitlines())
    windows = classifier.predict_file(song).windows
    assert code == 0
    assert len(rows) == len(windows) >= 2
    for row, window in zip(rows, windows, strict=True):
        assert row["label"] == window.label == max(row["probabilities"], key=row["probabilities"].get)
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=0.03)
        assert row["dropped_samples"] == 0
        assert row["mel_ms"] > 0
        assert row["network_ms"] > 0
    assert rows[1]["start_s"] == pytest.approx(64 * classifier.tables.spec.hop_samples / RATE_HZ, abs=1e-3)


def test_file_prediction_is_the_mean_of_its_windows(classifier, song):
    answer = classifier.predict_file(song)
    mean = {label: np.mean([w.probabilities[label] for w in answer.windows]) for label in classifier.labels}
    assert answer.probabilities == pytest.approx(mean)
    assert answer.label == max(mean, key=mean.get)


def pipe(data, *arguments):
    command = [sys.executable, "-m", "edgegenre_runtime.run", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, timeout=300, check=False)


def test_raw_pcm_from_stdin_answers_as_the_file(classifier, song):
    pcm = soundfile.read(song, dtype="int16")[0]
    done = pipe(pcm.tobytes(), "-", "--json")
    labels = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert labels == [window.label for window in classifier.predict_file(song).windows]


def test_raw_stereo_at_48_khz_answers_as_the_file(classifier, song, tmp_path):
    import soxr

    wide = soxr.resample(soundfile.read(song, dtype="float32")[0], RATE_HZ, 48000)
    stereo = np.stack((wide, 0.5 * wide), axis=1).astype("<f4")
    soundfile.write(tmp_path / "wide.wav", stereo, 48000, subtype="FLOAT")
    done = pipe(stereo.tobytes(), "-", "--rate", 48000, "--channels", 2, "--format", "f32le", "--json")
    ours = [json.loads(line)["probabilities"] for line in done.stdout.splitlines()]
    theirs = [window.probabilities for window in classifier.predict_file(tmp_path / "wide.wav").windows]
    assert done.returncode == 0
    assert ours == [{label: round(p, 4) for label, p in window.items()} for window in theirs]


def test_a_device_needs_no_workstation_library(song):
    code = (
        "import sys; from edgegenre_runtime.run import main; "
        f"assert main([{str(song)!r}]) == 0; "
        "heavy = {'torch', 'librosa', 'scipy', 'typer', 'sounddevice', 'edgegenre'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_silence_is_no_genre(capsys, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(RATE_HZ * 10, np.int16), RATE_HZ)
    code, out, _ = run(capsys, tmp_path / "quiet.wav")
    assert code == 0
    assert f": {SILENCE}  (" in out


def test_short_audio_is_repeated_and_says_so(capsys, tmp_path):
    soundfile.write(tmp_path / "short.wav", render("metal", 0, 1.0), RATE_HZ)
    code, out, _ = run(capsys, tmp_path / "short.wav")
    assert code == 0
    assert "1 window, 0.0-1.0 s of 1.0 s, repeated to fill a window" in out


def test_too_short_audio_is_one_clear_line(capsys, tmp_path):
    soundfile.write(tmp_path / "tick.wav", np.ones(100, np.int16), RATE_HZ)
    for flags in ([], ["--json"]):
        code, out, err = run(capsys, *flags, tmp_path / "tick.wav")
        assert code == 2
        events = valid_records(out.splitlines())
        assert [event["event"] for event in events] == (["error"] if flags else [])
        assert "too short to classify; at least 93 ms" in err
        assert err.count("\n") == 1


def wrong_inputs(folder):
    (folder / "notes.txt").write_text("hello")
    (folder / "fake.wav").write_text("hello")
    (folder / "empty.wav").touch()
    (folder / "folder").mkdir()
    return {
        "missing.wav": "no such file",
        "notes.txt": "unknown extension",
        "fake.wav": "not audio",
        "empty.wav": "empty",
        "folder": "directory without audio",
    }


def test_wrong_inputs_one_line_each(capsys, tmp_path):
    for name, says in wrong_inputs(tmp_path).items():
        code, out, err = run(capsys, tmp_path / name)
        assert (code, out, err.count("\n")) == (2, "", 1), name
        assert says in err
        assert name in err


def test_a_broken_file_among_good_ones_is_reported_and_passed(capsys, tmp_path, song):
    (tmp_path / "a.wav").write_text("hello")
    shutil.copy(song, tmp_path / "b.wav")
    code, out, err = run(capsys, tmp_path)
    assert code == 2
    assert "b.wav: " in out
    assert "a.wav: " in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-", "--rate", "0"], "0 Hz is out of range"),
        (["-", "--rate", "10000000"], "out of range"),
        (["-", "--channels", "0"], "0 channels"),
        (["-"], "no audio"),
        (["--threads", "0", "x.wav"], "allowed are 1 to 64"),
    ],
)
def test_wrong_options_one_line(arguments, says):
    done = pipe(b"", *arguments)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_garbage_on_stdin_is_audio_like_any_other():
    done = pipe(os.urandom(500_001), "-", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[0])["label"]


@pytest.fixture
def bundle(tmp_path):
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def change_byte(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


NETWORKS = [("reference", "model_int8.tflite")] + ([("engine", "net.eg")] if engine.load() is not None else [])


@pytest.mark.parametrize(("executor", "name"), NETWORKS)
def test_a_changed_byte_in_the_network_is_refused(capsys, monkeypatch, bundle, song, executor, name):
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", executor)
    change_byte(bundle / name, 5000)
    code, out, err = run(capsys, "--bundle", bundle, song)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert name in err


@pytest.mark.parametrize(("executor", "name"), NETWORKS)
def test_a_truncated_network_is_refused(capsys, monkeypatch, bundle, song, executor, name):
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", executor)
    model = bundle / name
    model.write_bytes(model.read_bytes()[:-1000])
    code, _, err = run(capsys, "--bundle", bundle, song)
    assert (code, err.count("\n")) == (2, 1)
    assert name in err


def test_the_front_end_of_another_spec_is_refused(capsys, bundle, song):
    from edgegenre_runtime.frontend import released

    name = GenreClassifier.load(bundle).tables.spec.name
    other = released("seed3s" if name == "wide9s" else "wide9s")
    (bundle / "frontend.json").write_text(other.to_json())
    code, _, err = run(capsys, "--bundle", bundle, song)
    assert (code, err.count("\n")) == (2, 1)
    assert "frontend.json" in err


def test_a_folder_that_is_no_bundle(capsys, tmp_path, song):
    code, _, err = run(capsys, "--bundle", tmp_path, song)
    assert (code, err.count("\n")) == (2, 1)
    assert "manifest.json" in err


def test_bundle_as_zip_answers_the_same(bundle, tmp_path, classifier, song):
    zipped = shutil.make_archive(str(tmp_path / "b"), "zip", bundle)
    assert GenreClassifier.load(zipped).predict_file(song).probabilities == classifier.predict_file(song).probabilities


def test_a_window_of_another_front_end_is_refused(classifier):
    window = Window(np.zeros((128, 128), np.int8), False, "0" * 64)
    with pytest.raises(SpecError, match="another front-end"):
        classifier.classify(window)


def test_a_clip_at_another_rate_is_refused(classifier):
    with pytest.raises(SpecError, match="44100"):
        classifier.predict_clip(Clip(np.zeros(99999, np.int16), 44100))


def test_api_errors_have_their_classes(classifier, tmp_path):
    with pytest.raises(AudioError):
        classifier.predict_file(tmp_path / "no.wav")
    with pytest.raises(BundleError):
        GenreClassifier.load(tmp_path)
    with pytest.raises(UsageError):
        GenreClassifier.load(threads=65)


def peak_rss_kb(minutes):
    """Feed noise-like music into ``edgegenre-run -`` and return the peak memory it took."""
    code = (
        "import resource, sys; from edgegenre_runtime.run import main; code = main(['-', '--json']); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    minute = np.tile(render("rock", 0, 30.0), 2).tobytes()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    import threading

    def feed():
        with process.stdin:
            for _ in range(minutes):
                process.stdin.write(minute)

    feeder = threading.Thread(target=feed)
    feeder.start()
    out, err = process.stdout.read(), process.stderr.read()
    feeder.join()
    assert process.wait() == 0
    process.stdout.close()
    process.stderr.close()
    return int(err), len(out.splitlines())


@pytest.mark.slow
def test_memory_is_flat_over_an_hour():
    short_kb, _ = peak_rss_kb(2)
    long_kb, n_windows = peak_rss_kb(60)
    spec = GenreClassifier.load().tables.spec
    assert n_windows == (spec.n_frames(3600 * RATE_HZ) - 128) // 64 + 1
    assert long_kb - short_kb < 2048


def test_interrupt_ends_quietly():
    code = (  # a background job, as CI may be, is born ignoring the signal
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from edgegenre_runtime.run import main; sys.exit(main(['-']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(b"\0" * 200_000)
    process.stdin.flush()
    time.sleep(2.0)
    process.send_signal(2)
    assert process.wait(10) == 130
    assert process.stderr.read() == b""
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def test_shipped_network_kernels_and_onnx_agree(classifier):
    """0 for the same resolver; across kernels the roundings of forty layers add up to some steps of 0.04 logits.

    DESIGN.md asks for one step, which the seed's CNN of five layers kept; toy music that the network never saw.
    """
    from edgegenre_export.check.model_answers import run_onnx, run_tflite
    from edgegenre_export.inputs.calibration_windows import toy_calibration

    cells = toy_calibration(classifier.tables, 60, seed=5).windows
    model = classifier.bundle.read("model_int8.tflite")
    ours = np.stack([classifier.outputs(one) for one in cells]).astype(int)
    assert np.array_equal(ours, run_tflite(model, cells))
    assert np.abs(ours - run_tflite(model, cells, reference_kernels=True)).max() <= 4
    assert np.abs(ours - run_onnx(SHIPPED_ONNX.read_bytes(), cells)).mean() <= 1


@pytest.mark.parametrize(("wanted", "says"), [("numpy", "front-end     numpy ("), ("", "front-end     ")])
def test_doctor_says_which_implementation_runs(monkeypatch, capsys, wanted, says):
    monkeypatch.setenv("EDGEGENRE_FRONTEND", wanted)
    code, out, _ = run(capsys, "--doctor")
    assert code == 0
    assert says in out
    assert out.splitlines()[-1].startswith("verdict       ")


def test_an_unknown_implementation_is_one_line(monkeypatch, capsys, song):
    monkeypatch.setenv("EDGEGENRE_FRONTEND", "fpga")
    code, _, err = run(capsys, song)
    assert (code, err.count("\n")) == (2, 1)
    assert "allowed are c and numpy" in err


def test_both_implementations_give_the_same_answer(monkeypatch, song):
    answers = []
    for implementation in ("numpy", ""):
        monkeypatch.setenv("EDGEGENRE_FRONTEND", implementation)
        answers.append(GenreClassifier.load().predict_file(song).probabilities)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("flags", [[], ["-u"]])
def test_doctor_ends_quietly_with_its_reader_though_a_library_ignores_the_signal(flags):
    code = """
import signal, sys
from edgegenre_runtime.run import main
from edgegenre_runtime.system import doctor
def examine(classifier):
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
    return iter(["fine"])
doctor.examine = examine
sys.exit(main(["--doctor"]))
"""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=120
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")
