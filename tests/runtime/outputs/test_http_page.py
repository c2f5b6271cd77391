"""The status page, its metrics and JSON."""

import contextlib
import http.client
import json
import socket
import urllib.error
import urllib.request

import pytest
from live_results import answer

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.outputs.http_page import StatusPage, parse_address


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
