"""Record edgegenre-run's terminal view as an animated SVG.

python scripts/record_terminal.py --out docs/images/terminal.svg --seconds 8 song.flac other.flac

The files are decoded, joined and fed to a real ``edgegenre-run -`` on a pseudo-terminal; every picture that it draws is
one of the animation's.
"""

from __future__ import annotations

import argparse
import html
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.audio.files import file_blocks
from script_output import until_closed

COLUMNS, RATE_HZ = 72, 22050
FONT_PX, LINE_PX, MARGIN_PX = 13, 17, 14
COMMAND = "edgegenre-run - --every 1 < music.pcm"


def record(pcm: npt.NDArray[np.int16]) -> list[list[str]]:
    """Return the pictures that edgegenre-run draws of int16 PCM at 22050 Hz, each a list of lines."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "30"}
    command = [sys.executable, "-m", "edgegenre_runtime.run", "-", "--every", "1", "--no-personal"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=theirs, env=environment) as process:
        os.close(theirs)
        drawn: list[bytes] = []
        reader = threading.Thread(target=lambda: drawn.extend(iter(lambda: _read(ours), b"")))
        reader.start()
        process.communicate(pcm.astype("<i2").tobytes())
        reader.join()
    os.close(ours)
    if process.returncode != 0:
        raise SystemExit(f"edgegenre-run ended with {process.returncode}")
    pictures = b"".join(drawn).decode().split("\x1b[?25l")[1:]
    texts = [re.sub(r"\x1b\[[?0-9]*[A-Za-z]|\r", "", picture).split("\n")[:-1] for picture in pictures]
    return [lines for lines in texts if len(lines) > 2]  # the first only waits for sound


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how a pseudo-terminal says that its other side is closed
        return b""


def animated_svg(pictures: list[list[str]], frame_s: float) -> str:
    """Return one SVG that shows the pictures in turn, for ever; without motion where the reader asks for none."""
    height = (max(map(len, pictures)) + 2) * LINE_PX + 2 * MARGIN_PX
    width = round(COLUMNS * FONT_PX * 0.602) + 2 * MARGIN_PX
    share = 100 / len(pictures)
    groups = []
    for index, lines in enumerate(pictures):
        rows = "".join(
            f'<text y="{MARGIN_PX + (row + 3) * LINE_PX}"{_style(row)}>{html.escape(line)}</text>'
            for row, line in enumerate(lines)
            if line.strip()
        )
        groups.append(f'<g style="animation-delay:{index * frame_s:.2f}s">{rows}</g>')
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<style>text{{font:{FONT_PX}px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#c9d1d9;white-space:pre}}
.genre{{fill:#7ee787;font-weight:bold}}.mel{{fill:#79c0ff}}.command{{fill:#8b949e}}
g{{visibility:hidden;animation:turn {len(pictures) * frame_s:.2f}s steps(1) infinite}}
@keyframes turn{{0%{{visibility:visible}}{share:.4f}%{{visibility:hidden}}}}
@media (prefers-reduced-motion:reduce){{g{{animation:none}}g:last-of-type{{visibility:visible}}}}</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<text x="{MARGIN_PX}" y="{MARGIN_PX + LINE_PX - 4}" class="command">$ {html.escape(COMMAND)}</text>
{"".join(groups).replace("<text ", f'<text x="{MARGIN_PX}" ')}
</svg>
"""


def _style(row: int) -> str:
    if row == 0:
        return ' class="genre"'
    return ' class="mel"' if 8 <= row < 16 else ""


def main() -> None:
    """Record the files named and write the picture."""
    parser = argparse.ArgumentParser(description="Record edgegenre-run's terminal view as an animated SVG.")
    parser.add_argument("audio", nargs="+", type=Path, help="audio files, heard one after the other")
    parser.add_argument("--out", type=Path, required=True, help="the SVG to write")
    parser.add_argument("--seconds", type=float, default=8.0, help="how much of each file is heard")
    parser.add_argument("--frame-s", type=float, default=0.5, help="how long each picture is shown")
    options = parser.parse_args()
    clips = [
        np.concatenate(list(file_blocks(path, RATE_HZ)))[: round(options.seconds * RATE_HZ)] for path in options.audio
    ]
    svg = animated_svg(record(np.concatenate(clips)), options.frame_s)
    with written_beside(options.out) as handle:
        handle.write(svg.encode())
    print(f"{options.out}: {len(svg.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    with until_closed():
        main()
