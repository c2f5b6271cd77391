"""The status page, its metrics and JSON."""

import base64
import contextlib
import dataclasses
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_results import answer
from prometheus_client.parser import text_string_to_metric_families

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.outputs.http_page import StatusPage, parse_address
from edgegenre_runtime.web.page import page_file

LABELS = ("jazz", 'ro"<ck>')


def get(url):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


@pytest.fixture
def page():
    latency = Latency()
    latency.add(1.0, 2.0, 3.0, 4.0)
    page = StatusPage(":0", "mic <1>", latency, LABELS)
    yield page
    page.close()


def test_status_page_metrics_and_json(page):
    page.event(Event("live", "listening"))
    page.result(answer(dropped=5))
    page.result(answer(dropped=6, skipped=1))
    kind, metrics = get(page.url + "metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    for line in (
        "edgegenre_live 1", "edgegenre_results_total 2", "edgegenre_dropped_samples_total 11",
        "edgegenre_skipped_windows_total 1", 'edgegenre_label{label="jazz"} 1',
        'edgegenre_probability{genre="ro\\"<ck>"} 0.25', 'edgegenre_latency_ms{stage="mel",quantile="0.99"} 2.0',
    ):  # fmt: skip
        assert line in metrics.splitlines()
    status = json.loads(get(page.url + "status.json")[1])
    assert (status["live"], status["results"], status["result"]["label"]) == (True, 2, "jazz")
    page.event(Event("lost", "gone"))
    assert "edgegenre_live 0" in get(page.url + "metrics")[1]


def test_the_page_with_its_files_and_the_device_that_it_shows(page):
    kinds = {"": "text/html; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
             "style.css": "text/css; charset=utf-8", "bundle.json": "application/json"}  # fmt: skip
    for path, kind in kinds.items():
        assert get(page.url + path)[0] == kind
    assert json.loads(get(page.url + "bundle.json")[1]) == {
        "format": 1, "labels": list(LABELS), "device": {"name": "mic <1>"}
    }  # fmt: skip
    with urllib.request.urlopen(page.url + "icon-192.png", timeout=5) as reply:
        assert reply.read() == page_file("icon-192.png")
        assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
    for name in ("net.eg", "edgegenre.wasm", "worker.js", "sw.js"):  # a device's page computes nothing
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(page.url + name)


def events_of(reply, count):
    """Return the next named events of a stream: (name, record)."""
    found = []
    while len(found) < count:
        line = reply.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            found.append((line[7:], json.loads(reply.readline().decode()[6:])))
    return found


def test_a_client_of_the_stream_has_the_latest_answer_at_once_and_then_each(page):
    page.event(Event("live", "listening"))
    page.result(answer(dropped=5))
    with urllib.request.urlopen(page.url + "events", timeout=5) as reply:
        assert reply.headers["Content-Type"] == "text/event-stream"
        (_, live), (_, counts), (name, result) = events_of(reply, 3)
        assert (live["event"], counts["dropped_samples"], name, result["label"]) == ("live", 5, "result", "jazz")
        second = answer("silence", dropped=2)
        page.result(second)
        (_, counts), (_, result), (name, window) = events_of(reply, 3)
        assert (counts["dropped_samples"], result["label"], name) == (7, "silence", "window")
        cells = np.frombuffer(base64.b64decode(window["cells"]), np.int8).reshape(window["n_mels"], window["width"])
        assert np.array_equal(cells, second.cells)
        page.event(Event("lost", "gone"))
        assert events_of(reply, 1)[0][1]["event"] == "lost"


def test_streams_end_with_the_page_and_hold_nothing_up(page):
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(page)), timeout=5))
            client.sendall(b"GET /events HTTP/1.0\r\n\r\n")
            client.recv(10)
        began = time.monotonic()
        for _ in range(200):  # nobody reads
            page.result(answer())
        assert time.monotonic() - began < 2
        page.close()
        wait_for_threads(0)


def test_a_client_that_left_is_forgotten(page):
    with urllib.request.urlopen(page.url + "events", timeout=5):
        page.result(answer())
    deadline = time.monotonic() + 10
    while page._stream._clients:
        page.result(answer())
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
    for wrong in ("", "x", ":99999", "host:", ":-1", "::1:80", "http://h:80", "a b:80", "[::1", "/x/s:1", ":٨٠"):
        with pytest.raises(UsageError, match="--http"):
            parse_address(wrong)


def test_a_port_in_use_is_one_line(page):
    port = page.url.rstrip("/").rpartition(":")[2]
    with pytest.raises(UsageError, match=r"address already in use.*another port"):
        StatusPage(f":{port}", "mic", Latency(), LABELS)


def port_of(page):
    return int(page.url.rstrip("/").rpartition(":")[2])


def test_the_metrics_are_what_prometheus_reads(page):
    for second in (answer('we\\ird "label"\n\x1b'), answer("jazz", skipped=3)):
        page.result(second)
        text = get(page.url + "metrics")[1]
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert all(family.documentation for family in families.values())
        assert families["edgegenre_label"].samples[0].labels == {"label": second.label}
    assert {name: family.type for name, family in families.items()} == {
        "edgegenre_live": "gauge", "edgegenre_results": "counter", "edgegenre_dropped_samples": "counter",
        "edgegenre_skipped_windows": "counter", "edgegenre_level_dbfs": "gauge",
        "edgegenre_captured_samples": "counter", "edgegenre_label": "gauge", "edgegenre_probability": "gauge",
        "edgegenre_latency_ms": "summary",
    }  # fmt: skip
    assert families["edgegenre_results"].samples[0].value == 2
    assert families["edgegenre_captured_samples"].samples[0].value == 480_000
    assert {sample.labels["genre"]: sample.value for sample in families["edgegenre_probability"].samples} == {
        "jazz": 0.75, 'ro"<ck>': 0.25
    }  # fmt: skip
    quantiles = [sample.labels["quantile"] for sample in families["edgegenre_latency_ms"].samples]
    assert quantiles == ["0.5", "0.9", "0.99"] * 5


def test_before_the_first_answer_the_metrics_are_valid_too(page):
    families = list(text_string_to_metric_families(get(page.url + "metrics")[1]))
    assert {family.name for family in families} > {"edgegenre_live", "edgegenre_results"}


def test_a_long_run_counts_every_sample():
    from edgegenre_runtime.outputs.prometheus import family

    assert family("n", "counter", "x", [({}, 123_456_789_012_345)])[-1] == "n 123456789012345"


def test_health(page):
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(page.url + "healthz")
    page.event(Event("live", "listening"))
    assert get(page.url + "healthz")[1] == "ok\n"
    page.event(Event("lost", "gone"))
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(page.url + "healthz")


def test_head_has_the_headers_and_no_body(page):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=5)
    connection.request("HEAD", "/metrics")
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 100
    connection.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:8080", 200), ("[::1]:80", 200), ("localhost:8080", 200), ("raspberrypi", 200),
        ("raspberrypi.local:8080", 200), ("pi.lan", 200), ("192.168.1.7", 200), (socket.gethostname(), 200),
        ("evil.example.com", 421), ("evil.example.com:8080", 421), ("127.0.0.1.evil.com", 421),
        ("127.0.0.1@evil.com", 421), ("x.localhost.com", 421), ("local.evil.com.", 421),
    ],
)  # fmt: skip
def test_a_web_site_cannot_read_the_page_by_leading_its_name_here(page, host, status):
    for path in ("/", "/status.json", "/metrics", "/nothing"):
        connection = http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=5)
        connection.request("GET", path, headers={"Host": host})
        reply = connection.getresponse()
        assert reply.status == (404 if status == 200 and path == "/nothing" else status), path
        assert "jazz" not in reply.read().decode()
        connection.close()


def test_an_old_client_without_a_host_is_answered(page):
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.0 200")


def wait_for_threads(at_most, timeout_s=15):
    deadline = time.monotonic() + timeout_s
    while sum(thread.name == "edgegenre-http" for thread in threading.enumerate()) > at_most:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def slow_clients(page, count):
    """Clients that send a byte now and then and never end their request."""
    clients = [socket.create_connection(("127.0.0.1", port_of(page)), timeout=5) for _ in range(count)]
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.3):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(b"G")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for client in clients:
            client.close()


def test_slow_clients_keep_no_other_waiting(page, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.outputs.http_server._REQUEST_S", 600.0)
    with slow_clients(page, 40):
        for _ in range(5):
            assert "edgegenre_live" in get(page.url + "metrics")[1]
            wait_for_threads(17)  # the server's own, and one per connection


def test_the_deadline_is_of_the_whole_request_and_not_of_a_byte(page, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.outputs.http_server._REQUEST_S", 2.0)
    with slow_clients(page, 5):
        wait_for_threads(1)


def test_a_client_that_does_not_read_is_given_up(page, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.outputs.http_server._REQUEST_S", 0.5)
    monkeypatch.setitem(page._server.pages, "/", lambda: (200, "text/plain", "x" * 50_000_000))
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        time.sleep(0.2)
        wait_for_threads(1)


def test_no_name_is_looked_up_at_the_start(monkeypatch):
    def lookup(*_):
        raise AssertionError("looked up")

    for name in ("getfqdn", "gethostbyaddr", "getnameinfo"):
        monkeypatch.setattr(f"socket.{name}", lookup)
    StatusPage("127.0.0.1:0", "mic", Latency(), LABELS).close()


def test_names_with_control_characters_are_harmless_on_the_page():
    page = StatusPage(":0", "mic\x1b\x00<b>", Latency(), LABELS)
    page.event(Event("live", "a\x08b\udce9"))
    for path in ("", "status.json", "metrics"):
        text = get(page.url + path)[1]
        assert "\x1b" not in text
        assert "\x00" not in text
    page.close()


def test_ipv6():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        page = StatusPage("[::1]:0", "mic", Latency(), LABELS)
    except UsageError as error:
        pytest.skip(str(error))
    assert "edgegenre_live" in get(page.url + "metrics")[1]
    page.close()


@given(
    st.text(max_size=20)
    | st.lists(st.sampled_from(["[", "]", ":", "::1", "0.0.0.0", "80", "-1", "h", "99999"])).map("".join)
)
def test_any_address_is_host_and_port_or_one_line(text):
    try:
        host, port = parse_address(text)
    except UsageError:
        return
    assert host
    assert 0 <= port < 65536


def test_any_bytes_for_a_request_leave_the_page_as_it_was(page, capsys):
    rng = np.random.default_rng(0)
    heads = [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"GET /metrics HTTP/1.0\r\nHost: ",
        b"GET  HTTP/9.9\r\n",
        b"HEAD / HTTP/1.1\r\nHost: h\r\n",
    ]
    for i in range(200):
        tail = rng.bytes(int(rng.integers(0, 300))) + (b"\r\n\r\n" if i % 2 else b"")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port_of(page)), timeout=5) as client:
            client.sendall(heads[i % len(heads)] + tail)
            client.shutdown(socket.SHUT_WR)
            client.recv(100)
    assert "edgegenre_live" in get(page.url + "metrics")[1]
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_without_a_thread_to_spare_the_client_is_turned_away_and_nothing_is_printed(page, monkeypatch, capsys):
    def refuse(_self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("edgegenre_runtime.outputs.http_server.threading.Thread.start", refuse)
        with socket.create_connection(("127.0.0.1", port_of(page)), timeout=5) as client:
            assert client.recv(100) == b""
    assert "edgegenre_live" in get(page.url + "metrics")[1]
    assert capsys.readouterr().err == ""


def test_every_label_of_an_answer_is_a_sample_of_its_own(page):
    page.result(dataclasses.replace(answer(), label="jazz;blues", labels=("jazz", "blues")))
    lines = get(page.url + "metrics")[1].splitlines()
    assert [line for line in lines if line.startswith("edgegenre_label{")] == [
        'edgegenre_label{label="jazz"} 1',
        'edgegenre_label{label="blues"} 1',
    ]
    page.result(dataclasses.replace(answer(), label="uncertain", labels=()))
    assert 'edgegenre_label{label="uncertain"} 1' in get(page.url + "metrics")[1].splitlines()
