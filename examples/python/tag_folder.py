"""Genres of a folder of music as CSV: file, genre, probability, runner-up.

python tag_folder.py ~/Music > genres.csv
"""

import csv
import sys
from pathlib import Path

from edgegenre import GenreClassifier
from edgegenre_runtime.audio.files import audio_files
from edgegenre_runtime.errors import AudioError


def main(folder: Path) -> None:
    """Write a line per file; what cannot be read is named on standard error."""
    classifier = GenreClassifier.load()
    table = csv.writer(sys.stdout)
    table.writerow(["file", "genre", "probability", "runner-up"])
    for path in audio_files([str(folder)]):
        try:
            answer = classifier.predict_file(path)
        except AudioError as error:
            print(error, file=sys.stderr)
            continue
        best = [*answer.top3, ("", 0.0), ("", 0.0)]
        table.writerow([path, answer.label, f"{best[0][1]:.2f}", best[1][0]])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tag_folder.py FOLDER")
    main(Path(sys.argv[1]))
