"""Where answers go: lines, picture, rotating log, status page, clips; and MQTT with a real broker."""

import contextlib
import http.client
import io
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from json_records import SCHEMA, valid_records

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.outputs.clips import ClipSaver
from edgegenre_runtime.outputs.http_page import StatusPage, parse_address
from edgegenre_runtime.outputs.jsonl_log import RotatingLog
from edgegenre_runtime.outputs.mqtt import MqttOutput, discovery, parse_url
from edgegenre_runtime.outputs.terminal import TerminalView
from edgegenre_runtime.outputs.text import JsonLines, TextLines


def answer(label="jazz", p=0.75, dropped=0, skipped=0, unix_s=1.7e9):
    cells = np.full((128, 128), -128, np.int8)
    cells[:16, -16:] = 127  # the newest frames, low bands
    probabilities = {"jazz": p, 'ro"<ck>': round(1 - p, 4)} if label not in ("silence", "noise") else {}
    return LiveResult(
        label=label, probabilities=probabilities, start_s=1.0, end_s=9.94, unix_s=unix_s, rate_hz=48000,
        captured_samples=480_000, dropped_samples=dropped, skipped_windows=skipped, level_dbfs=-23.4,
        is_repeated=False, capture_ms=0.1, mel_ms=1.0, network_ms=2.0, cells=cells,
    )  # fmt: skip


def test_json_lines_have_the_documented_fields():
    out, err = io.StringIO(), io.StringIO()
    lines = JsonLines(out, err, "mic")
    lines.result(answer(dropped=7))
    lines.event(Event("lost", "gone", unix_s=1.7e9 + 0.25))
    result, event = valid_records(out.getvalue().splitlines())
    assert result == {
        "schema": 1, "kind": "result",
        "time": "2023-11-14T22:13:20.000Z", "source": "mic", "start_s": 1.0, "end_s": 9.94,
        "label": "jazz", "probabilities": {"jazz": 0.75, 'ro"<ck>': 0.25}, "level_dbfs": -23.4, "rate_hz": 48000,
        "captured_samples": 480000, "dropped_samples": 7, "skipped_windows": 0, "is_repeated": False,
        "capture_ms": 0.1, "mel_ms": 1.0, "network_ms": 2.0,
    }  # fmt: skip
    when = "2023-11-14T22:13:20.250Z"
    assert event == {"schema": 1, "kind": "event", "time": when, "source": "mic", "event": "lost", "message": "gone"}
    assert err.getvalue() == "edgegenre-run: gone\n"
    documented = (Path(__file__).parents[3] / "docs" / "runtime.md").read_text("utf-8")
    fields = {**SCHEMA["$defs"]["result"]["properties"], **SCHEMA["$defs"]["event"]["properties"]}
    assert set(result) | set(event) | {"confidence"} == set(fields)
    for field in fields:
        assert f"| `{field}` |" in documented, field


def test_text_lines_are_one_line_each():
    out = io.StringIO()
    lines = TextLines(out, io.StringIO())
    lines.result(answer(dropped=480, skipped=2))
    lines.result(answer("silence"))
    first, second = out.getvalue().splitlines()
    assert first.endswith('jazz  [jazz 0.75  ro"<ck> 0.25]  -23 dBFS  (lost 480 samples, skipped 2 windows)')
    assert second.endswith("silence  -23 dBFS")


def screen(text, height=40):
    """Return what a terminal shows after the few control codes that the view uses."""
    rows, at = [""] * height, 0
    for part in text.replace("\x1b[?25l", "").replace("\x1b[?25h", "").split("\x1b["):
        if part[:2].rstrip("A").isdecimal() and "A" in part[:3]:
            up, _, part = part.partition("A")
            at -= int(up)
        elif part.startswith("K"):
            part = part[1:]
        for i, line in enumerate(part.split("\n")):
            at += i > 0
            if "\r" in line:
                rows[at] = line.rpartition("\r")[2]
    return [row for row in rows if row]


def test_the_view_redraws_in_place_and_keeps_count():
    stream = io.StringIO()
    view = TerminalView(stream, 80)
    for _ in range(5):
        view.result(answer(dropped=100))
    view.event(Event("lost", "the microphone is gone"))
    view.close()
    rows = screen(stream.getvalue())
    assert rows[0].startswith("JAZZ ")
    assert "-23 dBFS" in rows[0]
    assert sum("jazz" in row and "███" in row for row in rows) == 1
    assert rows[-2] == "10 s heard, 500 samples lost, 0 windows skipped"
    assert rows[-1] == "the microphone is gone"
    picture = [row for row in rows if set(row) <= set(" ·:-=+*#%@")]
    assert picture[-1].endswith("@@@@@@")  # low bands below, new frames on the right
    assert max(map(len, rows)) < 80
    assert stream.getvalue().endswith("\x1b[?25h")


def test_the_log_rotates_and_loses_nothing(tmp_path):
    log = RotatingLog(tmp_path / "genre.jsonl", "mic", pytest.fail, max_bytes=2000)
    for i in range(15):
        log.result(answer(unix_s=float(i)))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files][:2] == ["genre.jsonl", "genre.jsonl.1"]
    assert 2 <= len(files) <= 5
    assert all(file.stat().st_size <= 2000 for file in files)
    times = [json.loads(line)["time"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert times == sorted(times)
    assert times[-1] == "1970-01-01T00:00:14.000Z"


def test_a_full_disk_is_said_once_and_again_when_there_is_room(tmp_path):
    said = []
    log = RotatingLog(tmp_path / "genre.jsonl", "mic", said.append)
    log.result(answer())
    size = (tmp_path / "genre.jsonl").stat().st_size
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1][1]))
        for _ in range(3):
            log.result(answer())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[1])
        signal.signal(signal.SIGXFSZ, before[0])
    log.result(answer())
    log.close()
    assert [event.kind for event in said] == ["output", "output"]
    assert "going on without it" in said[0].message
    assert "3 lines are missing" in said[1].message
    assert len((tmp_path / "genre.jsonl").read_text().splitlines()) == 2


def test_no_space_left_on_the_device_is_survived():
    said = []
    log = RotatingLog(Path("/dev/full"), "mic", said.append)
    log.result(answer())
    log.close()
    assert "no space left on device" in said[0].message


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"--log .* cannot be written"):
        RotatingLog(tmp_path / "no" / "log", "mic", pytest.fail)


def get(url):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


@pytest.fixture
def page():
    latency = Latency()
    latency.add(1.0, 2.0, 3.0, 4.0)
    page = StatusPage(":0", "mic <1>", latency)
    yield page
    page.close()


def test_status_page_metrics_and_json(page):
    assert "nothing heard yet" in get(page.url)[1]
    page.event(Event("live", "listening"))
    page.result(answer(dropped=5))
    page.result(answer(dropped=6, skipped=1))
    kind, html = get(page.url)
    assert kind == "text/html; charset=utf-8"
    assert "<h1>jazz</h1>" in html
    assert "ro&quot;&lt;ck&gt;" in html
    assert "mic &lt;1&gt;: live" in html
    kind, metrics = get(page.url + "metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    for line in (
        "edgegenre_live 1", "edgegenre_results_total 2", "edgegenre_dropped_samples_total 11",
        "edgegenre_skipped_windows_total 1", 'edgegenre_label{label="jazz"} 1',
        'edgegenre_probability{genre="ro\\"<ck>"} 0.2500', 'edgegenre_latency_ms{stage="mel",quantile="0.99"} 2.000',
    ):  # fmt: skip
        assert line in metrics.splitlines()
    status = json.loads(get(page.url + "status.json")[1])
    assert (status["live"], status["results"], status["result"]["label"]) == (True, 2, "jazz")
    page.event(Event("lost", "gone"))
    assert "edgegenre_live 0" in get(page.url + "metrics")[1]


def test_the_page_is_for_this_machine_alone_and_takes_nothing_else(page):
    port = int(page.url.rstrip("/").rpartition(":")[2])
    assert page.url.startswith("http://127.0.0.1:")
    for path in ("/etc/passwd", "/../status.json", "/metrics/x"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(page.url.rstrip("/") + path)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/", body="x")
    assert connection.getresponse().status == 501
    connection.close()
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))):  # says nothing, and holds nobody up
        assert "edgegenre_live" in get(page.url + "metrics")[1]


def test_addresses():
    assert parse_address(":8080") == parse_address("8080") == ("127.0.0.1", 8080)
    assert parse_address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert parse_address("[::1]:80") == ("::1", 80)
    for wrong in ("", "x", ":99999", "host:", ":-1"):
        with pytest.raises(UsageError, match="--http"):
            parse_address(wrong)


def test_a_port_in_use_is_one_line(page):
    port = page.url.rstrip("/").rpartition(":")[2]
    with pytest.raises(UsageError, match=r"address already in use.*another port"):
        StatusPage(f":{port}", "mic", Latency())


def test_clips_are_of_changes_of_genre_and_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.outputs.clips._MAX_FILES", 3)
    saver = ClipSaver(tmp_path / "clips", 1.0, pytest.fail)
    for second, label in enumerate(["jazz", "jazz", "silence", "jazz", "rock", "pop/rap", "uncertain", "disco"]):
        saver.add_block(AudioBlock(np.full((48000, 2), second / 10, np.float32), 48000, 0, 0.0))
        saver.result(answer(label, unix_s=1.7e9 + second))
    names = sorted(path.name for path in (tmp_path / "clips").iterdir())
    assert [name.partition("_")[2] for name in names] == ["rock.wav", "pop-rap.wav", "disco.wav"]
    samples, rate_hz = soundfile.read(tmp_path / "clips" / names[-1])
    assert (rate_hz, samples.shape) == (48000, (48000, 2))
    assert samples[0, 0] == pytest.approx(0.7, abs=1e-3)


@contextlib.contextmanager
def mosquitto(folder, port, *, password=None):
    lines = [f"listener {port} 127.0.0.1", f"allow_anonymous {'false' if password else 'true'}", "user root"]
    if password:
        subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwords", "pi", password], check=True)
        (folder / "passwords").chmod(0o600)
        lines.append(f"password_file {folder / 'passwords'}")
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    process = subprocess.Popen([program, "-c", folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_open(port))
        yield process
    finally:
        process.kill()
        process.wait()


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait_until(found, timeout_s=15):
    deadline = time.monotonic() + timeout_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def port():
    if not shutil.which("mosquitto_sub") or not shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin"):
        pytest.skip("needs apt-get install mosquitto mosquitto-clients")
    pytest.importorskip("paho.mqtt.client", reason="needs the extra mqtt")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def retained(port, topic, *arguments, timeout_s=1):
    """Return what a subscriber that comes now gets, by topic."""
    command = ["mosquitto_sub", "-p", str(port), "-t", topic, "-v", "-W", str(timeout_s), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_mqtt_publishes_discovery_state_and_availability_and_comes_back(port, tmp_path):
    said = []
    with mosquitto(tmp_path, port):
        output = MqttOutput(f"mqtt://127.0.0.1:{port}/edge/kitchen", "mic", said.append)
        wait_until(lambda: said)
        output.event(Event("live", "listening"))
        output.result(answer())
        time.sleep(0.2)
        got = retained(port, "#")
        assert json.loads(got["edge/kitchen/state"])["label"] == "jazz"
        assert (got["edge/kitchen/availability"], got["edge/kitchen/microphone"]) == ("online", "on")
        genre = json.loads(got["homeassistant/sensor/edge_kitchen/genre/config"])
        assert genre["state_topic"] == "edge/kitchen/state"
        assert genre["availability_topic"] == "edge/kitchen/availability"
        assert set(discovery("edge/kitchen")) <= set(got)
    wait_until(lambda: "connection lost" in said[-1].message)
    output.result(answer("silence"))  # nobody is there: left out
    with mosquitto(tmp_path, port):
        wait_until(lambda: said[-1].message.endswith("connected"), 20)
        output.result(answer("silence"))
        time.sleep(0.2)
        assert json.loads(retained(port, "edge/kitchen/state")["edge/kitchen/state"])["confidence"] == 0
        began = time.monotonic()
        output.close()
        assert time.monotonic() - began < 1.5
        assert retained(port, "edge/kitchen/availability")["edge/kitchen/availability"] == "offline"


def test_mqtt_last_will_speaks_for_a_process_that_was_killed(port, tmp_path):
    code = (
        "import time; from edgegenre_runtime.outputs.mqtt import MqttOutput;"
        f"output = MqttOutput('mqtt://127.0.0.1:{port}/a', 'mic', lambda event: print(event.message, flush=True));"
        "time.sleep(60)"
    )
    with mosquitto(tmp_path, port):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().endswith("connected\n")
        wait_until(lambda: retained(port, "a/availability").get("a/availability") == "online")
        process.kill()
        process.wait()
        process.stdout.close()
        wait_until(lambda: retained(port, "a/availability")["a/availability"] == "offline")


def test_mqtt_with_a_password(port, tmp_path, monkeypatch):
    said = []
    with mosquitto(tmp_path, port, password="s3cret"):
        wrong = MqttOutput(f"mqtt://pi:wrong@127.0.0.1:{port}", "mic", said.append)
        wait_until(lambda: said)
        assert "refuses: " in said[0].message
        assert "wrong" not in said[0].message
        wrong.result(answer())
        wrong.close()
        monkeypatch.setenv("EDGEGENRE_MQTT_PASSWORD", "s3cret")
        right = MqttOutput(f"mqtt://pi@127.0.0.1:{port}/b", "mic", said.append)
        wait_until(lambda: said[-1].message.endswith("connected"))
        right.result(answer())
        right.close()
        assert "b/state" in retained(port, "b/#", "-u", "pi", "-P", "s3cret")


def test_a_broker_that_is_down_is_said_once_and_stops_nothing(port):
    said = []
    output = MqttOutput(f"mqtt://127.0.0.1:{port}", "mic", said.append)
    wait_until(lambda: said)
    output.result(answer())
    time.sleep(2.5)
    began = time.monotonic()
    output.close()
    assert time.monotonic() - began < 1.5
    assert [event.message for event in said] == [f"MQTT broker 127.0.0.1:{port} cannot be reached; trying again"]


def test_mqtt_urls():
    broker = parse_url("mqtts://pi:p%40ss@host/a/b")
    assert (broker.port, broker.is_encrypted, broker.user, broker.password) == (8883, True, "pi", "p@ss")
    assert broker.topic == "a/b"
    assert "p@ss" not in repr(broker)
    assert parse_url("mqtt://host").topic.startswith("edgegenre/")
    for wrong in ("host", "http://host", "mqtt://", "mqtt://host:99999", "mqtt://host/a/#", "mqtt://[", "mqtt://u:pw@"):
        with pytest.raises(UsageError, match="--mqtt takes") as caught:
            parse_url(wrong)
        assert "pw" not in str(caught.value)
