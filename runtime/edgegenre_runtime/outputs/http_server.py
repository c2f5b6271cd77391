"""The HTTP server of the status page: no client holds it up, and no web site reads it through a browser."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any

__all__ = ["Reply", "StatusServer", "is_local_name"]

_MAX_CONNECTIONS = 16
_REQUEST_S = 5.0  # from the connection to the last byte of the request; the reply has what is left of it
_LOCAL_DOMAINS = (".local", ".localhost", ".lan", ".home", ".internal", ".home.arpa")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Reply = tuple[int, str, str | bytes]
"""Status code, content type and text, or bytes of a type that has no charset."""


def is_local_name(host_header: str, own_names: frozenset[str]) -> bool:
    """Return whether a ``Host`` header names this machine as no web site can (DNS rebinding).

    Allowed are addresses, names without a dot, names of local domains, and ``own_names``: the owner of a public name
    may make it lead to this machine, and then read the page through a visitor's browser.
    """
    name = host_header.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    name = name.rstrip(".")
    return name in own_names or "." not in name or name.endswith(_LOCAL_DOMAINS)


class StatusServer(TCPServer):
    """Answers GET and HEAD of a few paths, each connection in a thread of its own.

    Of more than 16 connections the oldest is closed, and a request must be complete within five seconds: a client that
    sends a byte per second keeps no other one waiting.

    Parameters
    ----------
    address
        Host and port; an IPv6 host has a colon in it.
    pages
        Function that makes the reply, by path.
    streams
        Function that makes an endless reply of server-sent events, by path; each is to be taken within five seconds.

    Raises
    ------
    OSError
        If the port is in use or the address is not this machine's.
    """

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        pages: Mapping[str, Callable[[], Reply]],
        streams: Mapping[str, Callable[[], Iterator[str]]],
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.pages, self.streams = pages, streams
        self.own_names = frozenset({address[0].lower(), socket.gethostname().lower()})
        self._connections: dict[socket.socket, None] = {}  # oldest first
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a connection; where there are too many, end the oldest one."""
        with self._lock:
            self._connections[request] = None
            oldest = next(iter(self._connections)) if len(self._connections) > _MAX_CONNECTIONS else None
        if oldest is not None:
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
            self._forget(oldest)
        work = threading.Thread(target=self._answer, args=(request, client_address), name="edgegenre-http", daemon=True)
        try:
            work.start()
        except RuntimeError:  # no more threads for this user or service
            self._forget(request)
            self.shutdown_request(request)

    def _answer(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self._forget(request)
            self.shutdown_request(request)

    def _forget(self, request: socket.socket) -> None:
        with self._lock:
            self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing where a client left; everything else is a fault of ours and is printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _DeadlineReader(io.RawIOBase):
    """The receiving side of a socket that ends at a time, however slowly the bytes come."""

    def __init__(self, connection: socket.socket, deadline_s: float) -> None:
        self._connection, self._deadline_s = connection, deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so that the connection ends with it."""

    server: StatusServer
    server_version, sys_version = "edgegenre", ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_DeadlineReader(self.connection, time.monotonic() + _REQUEST_S))

    def do_GET(self) -> None:  # the base class's name for it
        """Answer a request."""
        hosts = self.headers.get_all("Host", [])
        if any(not is_local_name(host, self.server.own_names) for host in hosts) or len(hosts) > 1:
            self._send(
                (421, "text/plain", "This page answers to the address or the local name of its machine alone.\n")
            )
            return
        path = self.path.partition("?")[0]
        if path in self.server.streams:
            self._stream(self.server.streams[path]())
            return
        page = self.server.pages.get(path)
        self._send((404, "text/plain", "not found\n") if page is None else page())

    def do_HEAD(self) -> None:  # the base class's name for it
        """Answer as to GET, without the text."""
        self.do_GET()

    def _send(self, reply: Reply) -> None:
        status, kind, content = reply
        body = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
        is_plain = isinstance(content, str) and "charset" not in kind
        self._head(status, f"{kind}; charset=utf-8" if is_plain else kind, {"Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)  # within what the request left of its time

    def _stream(self, parts: Iterator[str]) -> None:
        """Send part after part until the client leaves or the stream ends."""
        self._head(200, "text/event-stream", {})
        if self.command == "HEAD":
            return
        for part in parts:
            self.connection.settimeout(_REQUEST_S)
            self.wfile.write(part.encode("utf-8", "backslashreplace"))

    def _head(self, status: int, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            **more,
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Log nothing."""
