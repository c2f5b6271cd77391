"""systemd's notification protocol: a datagram to the socket that the service manager names, and nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable

__all__ = ["Notifier"]


class Notifier:
    """Reports the service's state to systemd; without ``$NOTIFY_SOCKET`` it does nothing.

    Parameters
    ----------
    clock
        Returns seconds; a test passes its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        period_us = os.environ.get("WATCHDOG_USEC", "")
        self._period_s = int(period_us) / 2e6 if period_us.isdecimal() else 0.0
        self._next_s = 0.0

    def send(self, *assignments: str) -> None:
        """Send assignments such as ``READY=1`` or ``STATUS=…``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            sock.sendall("\n".join(assignments).encode())

    def alive(self) -> None:
        """Feed the watchdog, at half its period; call it often."""
        now_s = self._clock()
        if self._period_s and now_s >= self._next_s:
            self._next_s = now_s + self._period_s
            self.send("WATCHDOG=1")
