"""A TLS server on the loopback address with an authority of its own, as a home or a company has one."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def make_certificates(folder: Path) -> Path:
    """Write ``ca.pem`` (the authority), and ``cert.pem`` with ``key.pem`` for 127.0.0.1; returns the folder."""
    if shutil.which("openssl") is None:
        pytest.skip("needs apt-get install openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=home")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=server")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signing = ["-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    openssl("x509", *signing, "-out", "cert.pem", "-extfile", "names")
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; what the server's ``fault`` says goes wrong: ``cut``, ``error`` or a URL to redirect to."""

    def do_GET(self) -> None:
        """Answer one request."""
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        fault = self.server.fault  # type: ignore[attr-defined]
        if fault.startswith(("http://", "https://")):
            self.send_response(302)
            self.send_header("Location", fault + self.path)
            self.end_headers()
        elif fault == "error":
            self.send_error(503)
        elif fault == "cut" and not self.path.endswith(".json"):
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path, certificates: Path | None) -> Iterator[Any]:
    """Serve a folder over TLS, or in the open without certificates; the server has ``url``, ``fault``, ``paths``."""
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    server.fault, server.paths, server.daemon_threads = "", [], False
    server.handle_error = lambda *_: None  # a client that does not trust it hangs up
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.url = f"{'http' if certificates is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
