"""A virtual USB microphone: PulseAudio with a null sink whose monitor is ALSA's device ``vmic``. No root, no kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

TOOLS = ("pulseaudio", "paplay", "pactl")
SINK = "vmic"


class SoundServer:
    """A PulseAudio of its own; a killed one is a microphone that was pulled out."""

    def __init__(self, rate_hz: int = 48000, channels: int = 2, sample_format: str = "s16le") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="eg_"))  # short: the name of a socket has 107 bytes
        for name in ("run", "home"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "home" / ".asoundrc").write_text(
            f'pcm.{SINK} {{ type pulse; device "{SINK}.monitor"; hint {{ show on; description "virtual mic" }} }}\n'
        )
        self._sink = f"sink_name={SINK} rate={rate_hz} channels={channels} format={sample_format}"
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a program that shall hear this microphone."""
        home = self.folder / "home"
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run"), "HOME": str(home), "PULSE_COOKIE": ""}

    def start(self) -> None:
        """Plug the microphone in."""
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit", "--realtime=no"]
        command += ["--high-priority=no", "--use-pid-file=no", "-L", "module-native-protocol-unix"]
        self._server = subprocess.Popen(
            [*command, "-L", f"module-null-sink {self._sink}"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while subprocess.run(["pactl", "info"], env=self.environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "pulseaudio does not come up"
            time.sleep(0.05)

    def kill(self) -> None:
        """Pull the microphone out."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def play(self, path: Path) -> subprocess.Popen[bytes]:
        """Begin to play a file into the microphone."""
        return subprocess.Popen(["paplay", f"--device={SINK}", str(path)], env=self.environment)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def needed() -> None:
    """Skip the test where PulseAudio is not installed."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: apt-get install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2")
