"""MQTT with a real broker that comes, goes and refuses."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_results import answer
from tls_server import make_certificates

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.events import KEEPING_UP, Event
from edgegenre_runtime.outputs import mqtt
from edgegenre_runtime.outputs.mqtt import MqttOutput
from edgegenre_runtime.outputs.mqtt_address import discovery, node_id, parse_url


@contextlib.contextmanager
def mosquitto(folder, port, *, password=None, extra=()):
    lines = [f"listener {port} 127.0.0.1", f"allow_anonymous {'false' if password else 'true'}", "user root", *extra]
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
        genre = json.loads(got[f"homeassistant/sensor/{node_id('edge/kitchen')}/genre/config"])
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
        assert time.monotonic() - began < 10  # it waits half a second; without a limit, for ever
        assert retained(port, "edge/kitchen/availability")["edge/kitchen/availability"] == "offline"


def test_who_looks_after_many_devices_sees_the_release_and_what_is_wrong(port, tmp_path):
    said = []
    bundle = {"name": "genres", "version": "7", "sha256": "ab", "signed_by": "cd"}
    with mosquitto(tmp_path, port):
        output = MqttOutput(f"mqtt://127.0.0.1:{port}/a", "mic", said.append, bundle=bundle, trouble="running the old")

        def health():
            return json.loads(retained(port, "a/health")["a/health"])

        wait_until(lambda: said)
        assert json.loads(retained(port, "a/bundle")["a/bundle"]) == bundle
        assert health() == {"problem": "on", "troubles": ["running the old"]}
        for event in (Event("lost", "gone"), Event("zeros", "muted"), Event("behind", "slow"), Event("lossy", "8 kHz")):
            output.event(event)
        wait_until(lambda: health()["troubles"] == ["running the old", "gone", "muted", "slow"])
        for event in (Event("live", "back"), Event("sound", "heard"), Event("behind", KEEPING_UP)):
            output.event(event)
        wait_until(lambda: health()["troubles"] == ["running the old"])
        output.close()
        healthy = MqttOutput(f"mqtt://127.0.0.1:{port}/a", "mic", said.append, bundle=bundle)
        wait_until(lambda: health() == {"problem": "off", "troubles": []})
        healthy.close()
    found = discovery("a")
    assert found["homeassistant/sensor/a/bundle/config"]["state_topic"] == "a/bundle"
    problem = found["homeassistant/binary_sensor/a/problem/config"]
    assert (problem["state_topic"], problem["device_class"]) == ("a/health", "problem")


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
    assert time.monotonic() - began < 10  # it waits half a second; without a limit, for ever
    assert [event.message for event in said] == [f"MQTT broker 127.0.0.1:{port} cannot be reached; trying again"]


def test_mqtt_urls(monkeypatch):
    broker = parse_url("mqtts://pi:p%40ss%23@host/a/b")
    assert (broker.port, broker.is_encrypted, broker.user, broker.password) == (8883, True, "pi", "p@ss#")
    assert broker.topic == "a/b"
    assert "p@ss" not in repr(broker)
    monkeypatch.setattr("socket.gethostname", lambda: "pi.home$1")
    assert parse_url("mqtt://host").topic == "edgegenre/pi.home_1"
    assert parse_url("mqtt://host/Küche/東京").topic == "Küche/東京"


@pytest.mark.parametrize(
    "wrong",
    [
        "host", "http://host", "mqtt://", "mqtt://host:99999", "mqtt://[", "mqtt://u:pw@", "mqtt://a..b", "mqtt://h\n",
        "mqtt://" + "a" * 64 + ".de", "mqtt://host/a#b", "mqtt://host/a?x", "mqtt://host?a", "mqtt://host#a",
        "mqtt://u:p#w@host/a", "mqtt://host/a/#", "mqtt://host/a/%23", "mqtt://host/+/a", "mqtt://host/a%00b",
        "mqtt://host/a%0Ab", "mqtt://host/$SYS/a", "mqtt://host/%24share/a", "mqtt://host/" + "a" * 66_000,
        "mqtt://host/" + "é" * 251, "mqtt://host/a%ff%00", "mqtt://u:" + "pw" * 33_000 + "@host",
    ],
)  # fmt: skip
def test_a_url_that_could_not_be_published_to_is_one_line_without_the_password(wrong):
    with pytest.raises(UsageError, match="--mqtt") as caught:
        parse_url(wrong)
    assert "pw" not in str(caught.value)
    assert "\n" not in str(caught.value)


URL_PARTS = st.sampled_from(
    ["mqtt://", "mqtts://", "h", "host", ":", "@", "/", "//", "#", "?", "%", "%23", "%00", "%ff", "$", "[", "]", "::1",
     "é", "1883", "99999", "a.b", "..", "+", "\\", " ", "\n", "\x1b", "\udce9", "a" * 70, "a" * 600, "secret"]
)  # fmt: skip


@given(st.lists(URL_PARTS, max_size=8).map("".join) | st.text(max_size=30).map("mqtt://".__add__))
def test_any_url_is_a_broker_that_can_be_published_to_or_one_line(url):
    try:
        broker = parse_url(url)
    except UsageError as error:
        message = str(error)
    else:
        message = ""
        topic = f"{broker.topic}/availability".encode()
        assert 0 < len(topic) < 600
        assert not set(topic) & set(b"+#\0\n\x1b")
        assert not topic.startswith(b"$")
        assert broker.host.encode("idna")
        assert 0 < broker.port < 65536
        json.dumps(discovery(broker.topic)).encode()
    assert "\n" not in message
    assert "secret" not in message


def test_no_two_topics_share_an_id():
    topics = ["a/b", "a_b", "a.b", "a b", "ä/b", "edgegenre/pi", "edgegenre_pi", "a-b"]
    ids = {json.dumps(message["unique_id"]) for topic in topics for message in discovery(topic).values()}
    assert len(ids) == 6 * len(topics)
    for topic in topics:
        assert all(re.fullmatch(r"homeassistant/\w+/[A-Za-z0-9_-]+/\w+/config", name) for name in discovery(topic))


@pytest.fixture
def certificates(tmp_path):
    """A certificate of the loopback address and the authority that signed it, as a home broker has them."""
    return make_certificates(tmp_path)


CONNECT = """
import queue
from edgegenre_runtime.outputs.mqtt import MqttOutput

events = queue.Queue()
output = MqttOutput({url!r}, "mic", events.put)
print(events.get(timeout=20).message)
output.close()
"""


def test_mqtt_with_an_authority_of_its_own(port, tmp_path, certificates):
    lines = ["certfile " + str(certificates / "cert.pem"), "keyfile " + str(certificates / "key.pem")]
    events = []
    with mosquitto(tmp_path, port, extra=lines):
        # in a process of its own, since paho leaves the socket of a failed handshake to the garbage collector
        code = CONNECT.format(url=f"mqtts://127.0.0.1:{port}/a")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
        assert "its certificate is not trusted (see --mqtt-ca)" in done.stdout
        output = MqttOutput(f"mqtts://127.0.0.1:{port}/a", "mic", events.append, str(certificates / "ca.pem"))
        wait_until(lambda: events and events[-1].message.endswith("connected"))
        output.close()


def test_certificates_that_cannot_be_read_are_one_line(port, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for path, says in ((tmp_path / "ca.pem", "no PEM certificates"), (tmp_path / "missing", "no such file")):
        with pytest.raises(UsageError, match=f"--mqtt-ca .* cannot be read \\({says}"):
            MqttOutput(f"mqtts://127.0.0.1:{port}", "mic", pytest.fail, str(path))
    with pytest.raises(UsageError, match="is for TLS"):
        MqttOutput(f"mqtt://127.0.0.1:{port}", "mic", pytest.fail, str(tmp_path / "ca.pem"))


def test_a_connection_that_flaps_is_not_reported_for_ever(port):
    events = []
    output = MqttOutput(f"mqtt://127.0.0.1:{port}", "mic", events.append)
    wait_until(lambda: events)

    class Reason:
        is_failure = False

    for _ in range(100):
        output._connected(output._client, None, None, Reason(), None)
        output._disconnected(output._client, None, None, Reason(), None)
    output.close()
    assert len(events) <= 1 + 4


def test_the_confidence_of_several_labels_is_the_least():
    several = dataclasses.replace(answer(p=0.75), label="jazz;ro", labels=("jazz", 'ro"<ck>'))
    assert mqtt._confidence(several) == 0.25
    assert mqtt._confidence(dataclasses.replace(several, label="uncertain", labels=())) == 0.75
    assert mqtt._confidence(answer(p=0.6)) == 0.6
