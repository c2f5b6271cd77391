"""Descriptors 0, 1 and 2 that are closed, as some service managers and cron jobs leave them."""

import subprocess
import sys

import pytest
import soundfile

from edgegenre.toy.dataset import render

RUN = f"{sys.executable} -m edgegenre_runtime.run"


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "disco.wav"
    soundfile.write(path, render("disco", 1, 10.0), 22050, subtype="PCM_16")
    return path


def shell(line, data=b""):
    done = subprocess.run(["sh", "-c", line], input=data, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_closed_standard_input(song):
    assert shell(f"{RUN} - 0<&-") == (
        2, "", "edgegenre-run: standard input is closed, so there is nothing to read from -\n"
    )  # fmt: skip
    code, out, err = shell(f"{RUN} {song} 0<&-")
    assert (code, out.count("\n"), err) == (0, 1, "")


def test_closed_standard_output(song, tmp_path):
    code, out, err = shell(f"{RUN} {song} 1>&-")
    assert (code, out) == (2, "")
    assert err.startswith("edgegenre-run: standard output is closed")
    pcm = render("disco", 1, 3.0).tobytes()
    code, _, err = shell(f"{RUN} - --every 1 --log {tmp_path}/log 1>&-", pcm)
    assert code == 0  # there is another output
    assert (tmp_path / "log").read_text().count('"result"') >= 1


def test_closed_standard_error(song, tmp_path):
    code, out, _ = shell(f"{RUN} {song} missing.wav 2>&-")
    assert (code, out.count("\n")) == (2, 1)  # no message among the answers
    pcm = render("disco", 1, 3.0).tobytes()
    code, _, _ = shell(f"{RUN} - --every 1 --json --log {tmp_path}/log 2>&-", pcm)
    assert code == 0
    assert all(line.startswith("{") for line in (tmp_path / "log").read_text().splitlines())


def test_all_closed():
    assert shell(f"{RUN} missing.wav 0<&- 1>&- 2>&-") == (2, "", "")


def test_a_terminal_is_no_pcm():
    import pty

    main, end = pty.openpty()
    done = subprocess.run([*RUN.split(), "-"], stdin=end, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "standard input is a terminal" in done.stderr
    for descriptor in (main, end):
        __import__("os").close(descriptor)
