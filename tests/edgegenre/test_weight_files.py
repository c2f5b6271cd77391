"""Files of weights: fetched once over https, whole or not at all."""

from __future__ import annotations

import http.server
import os
import threading

import pytest
import requests

from edgegenre.weight_files import cache_folder, checked_sha256, fetch, find_weights
from edgegenre_runtime.errors import CheckpointError, UsageError

URL = "https://example.org/models/a.pth"


class Answer:
    """Stands for what requests gets from a server."""

    def __init__(self, content: bytes, status: int = 200) -> None:
        self.content, self.status = content, status

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def raise_for_status(self) -> None:
        if self.status != 200:
            raise requests.HTTPError(f"{self.status} Client Error")

    def iter_content(self, size: int) -> list[bytes]:
        return [self.content[i : i + size] for i in range(0, len(self.content), size)]


@pytest.fixture
def served(monkeypatch):
    asked = []

    def serve(answer: Answer | Exception) -> list[str]:
        def get(self, url, **options):
            asked.append(url)
            assert options["timeout"] > 0
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(requests.Session, "get", get)
        return asked

    return serve


@pytest.mark.parametrize("url", ["http://host/a.pth", "file:///etc/passwd", "https://host/", "ftp://host/a.pth"])
def test_only_https_is_fetched(url, tmp_path):
    with pytest.raises(UsageError, match="https"):
        fetch(url, tmp_path)


def test_a_url_is_fetched_once_into_the_cache(served, tmp_path, monkeypatch):
    asked = served(Answer(b"weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = [find_weights(URL) for _ in range(2)]
    assert asked == [URL]
    assert paths[0] == paths[1]
    assert paths[0].parent == cache_folder() == tmp_path / "edgegenre"
    assert paths[0].read_bytes() == b"weights"
    assert fetch(URL.replace("models", "others"), cache_folder()) != paths[0]


@pytest.mark.parametrize(
    "answer", [requests.ConnectTimeout("timed out"), Answer(b"x" * 101), Answer(b"", 404), OSError("no route")]
)
def test_a_failed_download_leaves_nothing(served, answer, tmp_path):
    served(answer)
    with pytest.raises(CheckpointError, match=r"by hand"):
        fetch(URL, tmp_path, max_bytes=100)
    assert os.listdir(tmp_path) == []


def test_a_redirect_away_from_https_is_refused_and_not_followed(tmp_path, monkeypatch):
    """A real server behind what requests takes for https, so that its own redirect code decides."""
    asked = []

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/stolen.pth")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class PlainText(requests.adapters.HTTPAdapter):
        def send(self, request, **options):
            request.url = request.url.replace("https://", "http://")
            return super().send(request, **options)

    monkeypatch.setattr("requests.sessions.HTTPAdapter", PlainText)
    try:
        with pytest.raises(CheckpointError, match="not https"):
            fetch(f"https://127.0.0.1:{server.server_port}/a.pth", tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert asked == ["/a.pth"]
    assert os.listdir(tmp_path) == []


def test_a_hash_in_the_name_is_checked(tmp_path):
    good = tmp_path / "net-ca978112.pth"  # sha256 of "a"
    good.write_bytes(b"a")
    assert checked_sha256(good).startswith("ca978112")
    bad = tmp_path / "net-ca978113.pth"
    bad.write_bytes(b"a")
    with pytest.raises(CheckpointError, match="ca978113"):
        checked_sha256(bad)
