#!/usr/bin/env python3
"""A day of listening in minutes: audio fed to ``edgegenre-run -`` as fast as it is read.

    python scripts/soak.py --hours 24

Toy music at 48 kHz goes through the pipe, the queue, the resampler, the front-end, the network and the outputs (JSON
lines, a rotating log, the status page). Measured are resident memory, lost samples, gaps between answers and their
time stamps.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import soxr

from edgegenre.toy.dataset import render
from script_output import until_closed

RATE_HZ = 48_000
_STYLES = ("blues", "classical", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock", "country")


@dataclasses.dataclass(frozen=True)
class Soak:
    """The result of a run.

    Attributes
    ----------
    audio_s, wall_s
        Seconds of audio, and of the clock.
    answers
        Answers.
    lost_samples
        Samples lost, as the answers count them.
    captured_samples
        Samples processed, as the last answer counts them.
    largest_step_s
        Largest time from the end of one answer's window to the next one's.
    last_end_s
        End of the last window.
    rss_kb
        Resident memory after each tenth of the audio, in kB.
    """

    audio_s: float
    wall_s: float
    answers: int
    lost_samples: int
    captured_samples: int
    largest_step_s: float
    last_end_s: float
    rss_kb: list[int]


def minute_of_music() -> bytes:
    """Return a minute of toy music of all styles, int16 mono at 48 kHz."""
    pcm = np.concatenate([render(style, seed, 6.0) for seed, style in enumerate(_STYLES)])
    wide = soxr.resample(pcm.astype(np.float32) / 32768, 22050, RATE_HZ)[: 60 * RATE_HZ]
    return np.rint(np.pad(wide, (0, 60 * RATE_HZ - len(wide))) * 32767).astype("<i2").tobytes()


def soak(minutes: int, progress: Callable[[str], None] = lambda line: None) -> Soak:
    """Feed ``minutes`` of audio and measure."""
    minute, rss_kb = minute_of_music(), []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "edgegenre_runtime.run", "-", "--rate", str(RATE_HZ), "--every", "1", "--json"]
        command += ["--log", f"{folder}/genre.jsonl", "--http", ":0"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
        pipe, answers = process.stdin, process.stdout
        if pipe is None or answers is None:
            raise SystemExit("edgegenre-run has no pipes")
        found: dict[str, float] = {}
        reader = threading.Thread(target=_read, args=(answers, found))
        reader.start()
        for i in range(1, minutes + 1):
            pipe.write(minute)
            pipe.flush()
            if i % max(minutes // 10, 1) == 0:
                rss_kb.append(_rss_kb(process.pid))
                progress(f"{i} of {minutes} minutes of audio, {time.monotonic() - began:.0f} s, {rss_kb[-1]} kB")
        pipe.close()
        reader.join()
        if process.wait() != 0:
            raise SystemExit(f"edgegenre-run ended with exit code {process.returncode}")
    return Soak(
        audio_s=minutes * 60.0,
        wall_s=time.monotonic() - began,
        answers=int(found["answers"]),
        lost_samples=int(found["lost"]),
        captured_samples=int(found["captured"]),
        largest_step_s=found["largest_step"],
        last_end_s=found["end"],
        rss_kb=rss_kb,
    )


def _read(answers: IO[bytes], found: dict[str, float]) -> None:
    found.update(answers=0, lost=0, captured=0, largest_step=0.0, end=0.0)
    with answers:
        for line in answers:
            record = json.loads(line)
            if record["kind"] != "result":
                continue
            if found["answers"]:
                found["largest_step"] = max(found["largest_step"], record["end_s"] - found["end"])
            found["answers"] += 1
            found["lost"] += record["dropped_samples"]
            found["captured"], found["end"] = record["captured_samples"], record["end_s"]


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=24.0, help="of audio (default: %(default)s)")
    run = soak(round(parser.parse_args().hours * 60), lambda line: print(line, file=sys.stderr))
    speed = run.audio_s / run.wall_s
    print(f"{run.audio_s / 3600:g} h of audio in {run.wall_s / 60:.1f} min, {speed:.0f} times real time")
    print(f"{run.answers} answers, the last one's window ends at {run.last_end_s:.3f} s")
    print(f"{run.lost_samples} samples lost; largest step between answers {run.largest_step_s:.3f} s")
    print(f"resident memory: {run.rss_kb[0] / 1024:.1f} MiB after a tenth, {run.rss_kb[-1] / 1024:.1f} MiB at the end,")
    print(f"  between {min(run.rss_kb) / 1024:.1f} and {max(run.rss_kb) / 1024:.1f} MiB")


if __name__ == "__main__":
    with until_closed():
        main()
