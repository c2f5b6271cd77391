"""Make the pictures of docs/images again, each from a real run of the commands that the pages name.

python scripts/docs_images.py --songs outside.npz --sweep SWEEP song.flac other.flac

``--songs`` is a feature cache whose test part the shipped network has not seen (docs/reproduce.md), ``--sweep`` the
folder of an ``edgegenre export --sweep``. Chromium takes the picture of the report page.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from edgegenre_export.sweep import SweepRow, pareto_front, plot_sweep
from script_output import until_closed

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH_PX, COLORS = 900, 64


def edgegenre(folder: Path, *words: str) -> None:
    """Run an edgegenre command in a folder."""
    subprocess.run(
        [sys.executable, "-c", "import sys; from edgegenre.cli import main; sys.exit(main())", *words],
        cwd=folder,
        check=True,
    )


def keep(picture: Path, name: str) -> None:
    """Write a picture to docs/images, small: at most 900 pixels wide, 64 colors."""
    image = Image.open(picture).convert("RGB")
    width = min(WIDTH_PX, image.width)
    image = image.resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)
    image.quantize(COLORS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(f"docs/images/{name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")


def augmentations(work: Path) -> None:
    """Draw a window of a rendered piece and what the augmentations make of it."""
    edgegenre(work, "data", "piece", "disco", "--out", "piece.wav")
    edgegenre(work, "augment", "piece.wav", "--spec", "seed3s", "--plot", "augment.png")
    keep(work / "augment.png", "augment.png")


def report(work: Path, songs: Path) -> None:
    """Take a picture of the shipped network's report page, and its confusion matrix alone."""
    shutil.copytree(ROOT / "runtime" / "edgegenre_runtime" / "default", work / "default")
    shutil.copy(songs, work / "outside.npz")
    edgegenre(work, "evaluate", "default", "outside.npz", "--part", "test", "--report", "report.html")
    page = (work / "report.html").read_text("utf-8")
    found = re.search(r'alt="Confusion matrix, tracks" src="data:image/png;base64,([^"]+)"', page)
    (work / "confusion.png").write_bytes(base64.b64decode(found[1] if found else ""))
    keep(work / "confusion.png", "confusion.png")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 900, "height": 760})
        opened.goto((work / "report.html").as_uri())
        opened.screenshot(path=work / "report.png")
        browser.close()
    keep(work / "report.png", "report.png")


def sweep(folder: Path) -> None:
    """Draw the plot of an ``export --sweep`` from its ``sweep.json``."""
    rows = [
        SweepRow(**{k: v for k, v in row.items() if k != "front"})
        for row in json.loads((folder / "sweep.json").read_text())["rows"]
    ]
    with tempfile.TemporaryDirectory() as drawn:
        plot_sweep(rows, pareto_front(rows), Path(drawn) / "sweep.png")
        keep(Path(drawn) / "sweep.png", "sweep.png")


def main() -> None:
    """Make every picture for which the material is given."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/images again.")
    parser.add_argument("clips", nargs="*", type=Path, help="songs for the terminal view")
    parser.add_argument("--songs", type=Path, help="feature cache of songs for report and confusion matrix")
    parser.add_argument("--sweep", type=Path, help="folder of an export --sweep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        augmentations(Path(folder))
        if options.songs:
            report(Path(folder), options.songs)
    if options.sweep:
        sweep(options.sweep)
    if options.clips:
        recorder = ROOT / "scripts" / "record_terminal.py"
        command = [sys.executable, str(recorder), "--seconds", "10", "--out", str(IMAGES / "terminal.svg")]
        subprocess.run([*command, *map(str, options.clips)], check=True)


if __name__ == "__main__":
    with until_closed():
        main()
