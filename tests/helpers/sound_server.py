"""A virtual USB microphone: PulseAudio with a null sink whose monitor is ALSA's device ``vmic``. No root, no kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

TOOLS = ("pulseaudio", "paplay", "pactl")
SINK = "vmic"
RATE_HZ = 48000


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


def as_48_khz_stereo(path: Path, source: Path, seconds: float | None = None) -> Path:
    """Write a clip as a sound card would play it: 48 kHz, stereo, half a second of silence before."""
    samples, rate_hz = soundfile.read(source, dtype="float32")
    wide = soxr.resample(samples[: None if seconds is None else int(seconds * rate_hz)], rate_hz, RATE_HZ)
    wide = np.concatenate((np.zeros(RATE_HZ // 2, np.float32), wide))
    soundfile.write(path, np.stack((wide, wide), axis=1), RATE_HZ, subtype="PCM_16")
    return path


def check_counts(records: list[dict[str, Any]]) -> tuple[int, int]:
    """Captured and lost samples of a run with three outages add up, in every answer; returns both.

    The last of these records is the one of the end.
    """
    found = re.match(r"(\d+) \D*(\d+) \D*(\d+) lost", records[-1]["message"])
    assert found is not None
    captured, not_captured, lost = map(int, found.groups())
    results = [record for record in records if record["kind"] == "result"]
    assert sum(result["dropped_samples"] for result in results) == lost == not_captured > 3 * RATE_HZ / 2
    assert sum(result["dropped_samples"] > 0 for result in results) == 3
    lost_s = 0.0
    for result in results:
        lost_s += result["dropped_samples"] / RATE_HZ
        # a window ends within a block and a frame of the newest sample, never beyond it
        assert 0 <= result["captured_samples"] / RATE_HZ + lost_s - result["end_s"] < 0.3
    return captured, lost
