"""The systemd unit, checked by systemd itself, and the notification protocol that it relies on."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from running import Running
from signed import make_key, signed_bundle

from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.run import main
from edgegenre_runtime.system import systemd_unit
from edgegenre_runtime.system.systemd_notify import Notifier
from edgegenre_runtime.system.systemd_unit import unit_text

real_obstacle = systemd_unit._obstacle  # some tests put another one in its place


def install(capsys, *arguments):
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_unit_runs_what_was_asked_for_and_may_do_little(capsys):
    log = "/var/log/edgegenre/genre log.jsonl"
    words = ["--mic", "USB Audio", "--install-service", "-", "--log", log, "--every", "2"]
    code, unit, err = install(capsys, *words)
    assert (code, err) == (0, "")
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert command.endswith(f'--mic "USB Audio" --log "{log}" --every 2')
    for line in (
        "Type=notify", "WatchdogSec=30", "Restart=always", "DynamicUser=yes", "SupplementaryGroups=audio",
        "MemoryMax=200M", "ProtectSystem=strict", "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX",
        "LogsDirectory=edgegenre", "StateDirectory=edgegenre",
    ):  # fmt: skip
        assert line in unit.splitlines(), line


@pytest.mark.parametrize("network", [["--mqtt", "mqtt://broker"], ["--http", ":8080"]])
def test_a_network_only_where_it_is_asked_for(capsys, network):
    unit = install(capsys, "--mic", *network, "--install-service=-")[1]
    assert "PrivateNetwork" not in unit
    assert "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6" in unit
    assert "--install-service" not in unit.partition("[Service]")[2]


def test_systemd_finds_no_fault_in_it(capsys, tmp_path, monkeypatch):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    path = tmp_path / "edgegenre.service"
    monkeypatch.chdir(default_bundle().parent)
    monkeypatch.setattr("edgegenre_runtime.system.systemd_unit._obstacle", lambda path: "")
    code, out, _ = install(capsys, "--mic", "100% $HOME", "--bundle", "default", "--install-service", str(path))
    assert code == 0
    assert "systemctl enable --now edgegenre.service" in out
    assert str(default_bundle()) in path.read_text()
    assert '"100%% $$HOME"' in path.read_text()
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "edgegenre" in line]
    assert ours == []
    path.write_text(path.read_text().replace("WatchdogSec=30", "WatchdogSec=often"))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "edgegenre.service:13: Failed to parse" in done.stdout + done.stderr  # it would have said so


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--install-service", "-", "song.wav"], "add --mic"),
        (["--mic", "--mqtt", "mqtt://pi:secret@broker", "--install-service", "-"], "EDGEGENRE_MQTT_PASSWORD"),
        (["--mic", "--log", "/srv/x", "--install-service", "-"], "/var/log/edgegenre alone"),
        (["--mic", "--save-clips", "clips", "--install-service", "-"], "/var/lib/edgegenre alone"),
        (["--mic", "--install-service", "/no/such/folder/x.service"], "run it with sudo"),
        (["--mic", "--install", "-"], "unrecognized arguments: --install"),
        (["--mic", "--http", ":80", "--install-service", "-"], "may not open ports below 1024"),
        (["--mic", "--http", "nowhere", "--install-service", "-"], "is no address"),
        (["--mic", "--mqtt", "mqtt://h/a#b", "--install-service", "-"], "--mqtt takes"),
        (["--mic", "--every", "0", "--install-service", "-"], "--every 0 s was given"),
        (["--mic", "--threads", "0", "--install-service", "-"], "allowed are 1 to 64"),
        (["--mic", "--bundle", "missing.zip", "--install-service", "-"], "does not exist"),
        (["--mic", "--log", "/var/log/edgegenre/../x", "--install-service", "-"], "/var/log/edgegenre alone"),
    ],
)
def test_a_unit_that_cannot_be_is_one_line(capsys, words, says):
    code, out, err = install(capsys, *words)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("edgegenre-run: ")
    assert says in err
    assert "secret" not in err


@pytest.mark.parametrize("closed", ["folder", "file", "within", "parent"])
def test_a_bundle_that_the_services_user_cannot_read_is_refused(capsys, tmp_path, monkeypatch, closed):
    monkeypatch.setattr("edgegenre_runtime.system.systemd_unit._PRIVATE", ())
    home = tmp_path / "home"
    bundle = shutil.copytree(default_bundle(), home / "bundle")
    for folder in (tmp_path, *tmp_path.parents):  # pytest's are closed to others
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    path = {"folder": bundle, "file": bundle / "labels.txt", "within": bundle / "manifest.json", "parent": home}[closed]
    assert real_obstacle(bundle) == ""
    path.chmod(0o700)
    code, _, err = install(capsys, "--mic", "--bundle", str(bundle), "--install-service", "-")
    assert code == 2
    assert f"{path} is closed to other users, so the service cannot read it" in err


def test_trusted_keys_are_named_by_their_whole_path_and_must_be_readable(capsys, tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="needs the extra sign")
    signed_bundle(tmp_path / "genres", make_key(tmp_path, "old"), make_key(tmp_path, "new"))
    monkeypatch.chdir(tmp_path)
    words = ["--mic", "--bundle", "./genres", "--trust", "old.pub", "--trust=new.pub", "--install-service", "-"]
    monkeypatch.setattr("edgegenre_runtime.system.systemd_unit._obstacle", lambda path: "")
    unit = install(capsys, *words)[1]
    assert f"--bundle {tmp_path}/genres --trust {tmp_path}/old.pub --trust={tmp_path}/new.pub" in unit
    closed = lambda path: "it is closed" if path.name == "new.pub" else ""  # noqa: E731
    monkeypatch.setattr("edgegenre_runtime.system.systemd_unit._obstacle", closed)
    code, _, err = install(capsys, *words)
    assert (code, "--trust new.pub: it is closed, so the service cannot read it" in err) == (2, True)


def test_a_bundle_in_tmp_is_refused_since_the_service_has_its_own():
    for private in ("/tmp", "/var/tmp", "/run/user"):  # noqa: S108
        assert real_obstacle(Path(private) / "a" / "bundle") == f"{private} is not the service's"


def test_a_file_that_is_none_of_these_units_is_not_replaced(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.system.systemd_unit._obstacle", lambda path: "")
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    code, _, err = install(capsys, "--mic", "--install-service", str(path))
    assert (code, path.read_text()) == (2, "mine")
    assert "was not written by edgegenre-run" in err
    path.write_text("# Written by edgegenre-run --install-service.\nbefore it")
    assert install(capsys, "--mic", "--install-service", str(path))[0] == 0
    assert "before it" not in path.read_text()
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_words_are_quoted_as_systemd_reads_them():
    unit = unit_text(["/opt/a b/run", "50%", '"', "$x", "\\", "plain"], uses_network=False)
    assert 'ExecStart="/opt/a b/run" 50%% "\\"" "$$x" "\\\\" plain' in unit


def test_systemd_is_told_of_start_life_and_end(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        with Running("-", "--every", "1", env=environment, stdin=subprocess.PIPE) as run:
            assert manager.recv(999) == b"READY=1"
            run.process.stdin.write(np.random.default_rng(0).integers(-999, 999, 60000, dtype=np.int16).tobytes())
            run.process.stdin.flush()
            got = [manager.recv(999).decode() for _ in range(8)]
            assert got.count("WATCHDOG=1") >= 6
            assert any(message.startswith("STATUS=listening to the pipe") for message in got)
            assert run.stop(signal.SIGTERM) < 2
            manager.settimeout(0.1)
            last = b""
            while last != b"STOPPING=1":
                last = manager.recv(999)


def test_a_hung_loop_no_longer_feeds_the_watchdog(tmp_path, monkeypatch):
    """The loop itself feeds it, at half the period: where the loop hangs, systemd starts the service again."""
    now_s = 100.0
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = Notifier(clock=lambda: now_s)
        fed_s = []
        for now_s in np.arange(100.0, 160.0, 0.2):
            notifier.alive()
            try:
                assert manager.recv(999) == b"WATCHDOG=1"
                fed_s.append(round(now_s - 100.0, 1))
            except BlockingIOError:
                pass
    assert fed_s == pytest.approx([0, 15, 30, 45], abs=0.3)


def test_without_systemd_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().send("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    Notifier().send("READY=1")  # nobody listens
