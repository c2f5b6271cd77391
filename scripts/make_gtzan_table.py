"""Write edgegenre/gtzan/track_table.csv from the published lists: artists and titles, and the fault-filtered split.

    python scripts/make_gtzan_table.py gtzan/splits

Artists and titles: B. L. Sturm, "An Analysis of the GTZAN Music Genre Dataset", MIRUM 2012. Split: C. Kereliuk,
B. L. Sturm, J. Larsen, "Deep Learning and Music Adversaries", IEEE Trans. Multimedia 17 (11), 2015.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "edgegenre" / "gtzan" / "track_table.csv"


def main(folder: Path, out: Path = TABLE) -> None:
    """Join the four lists in ``folder`` into one table, a line a clip."""
    part_of = {
        clip.removesuffix(".wav"): part
        for part in ("train", "valid", "test")
        for clip in (folder / f"{part}_filtered.txt").read_text("utf-8").split()
    }
    rows = []
    for line in (folder / "artists_titles_sturm.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            clip, artist, title = (field.strip(" :") for field in re.split(r"\s*:::\s*", line.strip()))
            clip = clip.removesuffix(".wav")
            rows.append((clip, clip.split(".")[0], artist, title, part_of.pop(clip, "")))
    if part_of:
        raise SystemExit(f"not in the list of artists: {', '.join(sorted(part_of))}")
    with out.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("clip", "genre", "artist", "title", "filtered_split"))
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
