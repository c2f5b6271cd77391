"""``edgegenre-run FILE …`` with names, folders and disks as they come."""

import itertools
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from json_records import valid_records

from edgegenre.toy.dataset import render
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.run import main


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "disco.wav"
    soundfile.write(path, render("disco", 1, 10.0), 22050, subtype="PCM_16")
    return path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def process(*arguments, **options):
    command = [sys.executable, "-m", "edgegenre_runtime.run", *map(os.fspath, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, **options)


def test_inputs_that_fail_stop_no_other(capsys, song, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.wav").write_text("no audio")
    inputs = [tmp_path / "empty", tmp_path / "missing.wav", song, tmp_path / "bad.wav", tmp_path / ("x" * 300), song]
    code, out, err = run(capsys, *inputs)
    assert code == 2
    assert out.count("disco.wav: ") == 2
    assert [name in line for name, line in zip(("empty", "missing", "bad", "xxx"), err.splitlines(), strict=True)] == [
        True
    ] * 4
    code, out, _ = run(capsys, "--json", *inputs)
    records = valid_records(out.splitlines())
    kinds = [kind for kind, _ in itertools.groupby(record["kind"] for record in records)]
    assert kinds == ["event", "result", "event", "result"]
    assert sum(record["kind"] == "event" for record in records) == 4
    assert {record["event"] for record in records if record["kind"] == "event"} == {"error"}


def test_an_unexpected_exception_stops_no_other_and_has_a_traceback_on_request(capsys, song, monkeypatch):
    from edgegenre_runtime import classify_files

    real, calls = classify_files.file_blocks, []

    def first_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ZeroDivisionError("odd")
        return real(*arguments)

    monkeypatch.setattr(classify_files, "file_blocks", first_fails)
    code, out, err = run(capsys, song, song)
    assert (code, out.count("\n"), err.count("\n")) == (2, 1, 1)
    assert "unexpected ZeroDivisionError: odd; run it with --debug" in err
    calls.clear()
    with pytest.raises(ZeroDivisionError):
        run(capsys, "--debug", song)


NAMES = (b"caf\xe9.wav", b"a\x1b[31mb.wav", b"two\nlines.wav", "Café 東京.wav".encode(), b"-dash.wav")


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_any_file_name_is_one_line_of_utf8(song, tmp_path, flags):
    for name in NAMES:
        shutil.copy(song, os.path.join(os.fsencode(tmp_path), name))
    (tmp_path / os.fsdecode(b"bad\xff\x1b.wav")).write_text("no audio")
    done = process(tmp_path, *flags)
    assert done.returncode == 2
    lines = done.stdout.decode("utf-8").splitlines()
    n_windows = len(GenreClassifier.load().predict_file(song).windows)
    assert len(lines) == (len(NAMES) * n_windows + 1 if flags else len(NAMES))
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr.decode("utf-8").count("\n") == 1
    assert "bad\\xff\\x1b.wav" in done.stderr.decode()
    if flags:
        sources = {record["source"].rpartition("/")[2] for record in valid_records(lines)}
        assert {"caf\\xe9.wav", "two\\nlines.wav", "Café 東京.wav"} < sources


def test_a_locale_that_is_not_utf8_is_no_hindrance(song, tmp_path):
    shutil.copy(song, tmp_path / "東京.wav")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = process(tmp_path / "東京.wav", env=environment)
    assert done.returncode == 0
    assert b"\\u6771\\u4eac.wav: " in done.stdout


def test_the_seconds_heard_are_of_those_there(capsys, tmp_path):
    soundfile.write(tmp_path / "a.wav", render("disco", 1, 12.0), 22050)
    _, out, _ = run(capsys, tmp_path / "a.wav")
    assert "(7 windows, 0.0-12.0 s of 12.0 s, mel " in out


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_full_disk_is_one_line_and_exit_code_2(song, flags):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edgegenre_runtime.run", *flags, song, song]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "edgegenre-run: standard output cannot be written (no space left on device)\n"


@pytest.mark.parametrize("flag", ["--help", "--version", "--doctor", "--list-mics"])
def test_a_full_disk_under_every_other_command(flag):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edgegenre_runtime.run", flag]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "standard output cannot be written" in done.stderr or "libportaudio2" in done.stderr


def test_what_a_c_library_prints_does_not_reach_the_terminal(song, tmp_path):
    """Messages of ours do, those of a decoder on descriptor 2 do not; with --debug they do."""
    code = (
        "import os, sys; from edgegenre_runtime import classify_files, run\n"
        "real = classify_files.file_blocks\n"
        "def noisy(*a):\n    os.write(2, b'Note: Illegal Audio-MPEG-Header')\n    return real(*a)\n"
        "classify_files.file_blocks = noisy\n"
        "code = run.main(sys.argv[1:]); os.write(2, b'after'); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, song, tmp_path / "missing.wav"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "missing.wav: " in done.stderr
    assert "Note" not in done.stderr
    assert done.stderr.endswith("after")
    done = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False, timeout=60)
    assert "Note" in done.stderr


def test_what_the_sound_system_prints_does_not_reach_the_terminal():
    """PortAudio's JACK back-end prints at every look for devices, which is every second while a microphone is gone."""
    code = (
        "import os, sys; from edgegenre_runtime import run; from edgegenre_runtime.live import microphone\n"
        "def noisy():\n    os.write(2, b'jack server is not running')\n    return ()\n"
        "microphone.refresh = microphone.microphones = noisy\n"
        "sys.exit(run.main(sys.argv[1:]))"
    )
    for arguments, code_expected in ((["--list-mics"], 0), (["--mic", "--no-retry"], 3)):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "jack" not in done.stderr
        if done.returncode != 2:  # PortAudio is not installed
            assert done.returncode == code_expected
        done = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False, timeout=60)
        assert "jack" in done.stderr or "libportaudio2" in done.stderr


def test_a_wav_file_on_standard_input_is_read_and_others_are_refused(song):
    expected = process(song).stdout.partition(b": ")[2].split(b" (")[0]
    done = process("-", input=song.read_bytes())
    assert done.stdout.partition(b": ")[2].split(b" (")[0] == expected
    samples, rate_hz = soundfile.read(song)
    soundfile.write(song.with_suffix(".flac"), samples, rate_hz)
    for extra in ([], ["--every", "1"]):
        done = process("-", *extra, input=song.with_suffix(".flac").read_bytes())
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"standard input: a FLAC file, not raw PCM" in done.stderr
        assert done.stderr.count(b"\n") == (2 if extra else 1)  # the last event besides


def test_a_wav_header_counts_while_listening_too(song, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.repeat(soundfile.read(song)[0], 2), 44100, subtype="FLOAT")
    done = process("-", "--every", "1", "--json", input=(tmp_path / "a.wav").read_bytes())
    assert done.returncode == 0
    *records, last = valid_records(done.stdout.splitlines())
    assert {record["rate_hz"] for record in records if record["kind"] == "result"} == {44100}
    assert last["message"].startswith("441000 samples captured, 0 not captured, 0 lost in all")


def without_privileges(*arguments):
    """Run as a user whom permissions bind, also where the tests run as root."""
    command = [sys.executable, "-m", "edgegenre_runtime.run", *map(os.fspath, arguments)]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv of util-linux, since the tests run as root")
        dropped = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}", *command]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


def test_a_closed_folder_is_reported_and_the_rest_classified(song, tmp_path):
    closed, is_open = tmp_path / "music" / "closed", tmp_path / "music" / "open"
    for folder in (closed, is_open):
        folder.mkdir(parents=True)
        shutil.copy(song, folder / "a.wav")
        (folder / "._a.wav").write_bytes(b"AppleDouble")
    closed.chmod(0)
    try:
        done = without_privileges(tmp_path / "music")
        assert (done.returncode, done.stdout.count("\n"), done.stderr.count("\n")) == (2, 1, 1)
        assert "closed: cannot be looked through (permission denied)" in done.stderr
        for arguments in (
            [closed / "a.wav"], [closed], ["--bundle", closed, song], ["--bundle", closed / "b.zip", song],
            ["--log", closed / "log", "-", "--every", "1"], ["--save-clips", closed, "-", "--every", "1"],
        ):  # fmt: skip
            done = without_privileges(*arguments)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), arguments
            assert "ermission denied" in done.stderr
    finally:
        closed.chmod(0o755)


def test_a_named_pipe_does_not_hang(capsys, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    code, _, err = run(capsys, tmp_path / "pipe.wav")
    assert code == 2
    assert "is no regular file; pipe it into  edgegenre-run -" in err
