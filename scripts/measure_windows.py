"""What `edgegenre library scan --windows K` costs in accuracy: answers of K windows against answers of all.

    python scripts/measure_windows.py songs CACHE     # a feature cache, e.g. of `edgegenre data import-songs`
    python scripts/measure_windows.py tracks FOLDER   # recordings at full length, without labels

`songs` classifies every song of the cache by K windows that lie evenly in it, by the code that `scan` places them with,
and by all windows, which overlap by half. `tracks` scans recordings as `scan` does. Both print, by K: accuracy where
there are labels, the share of tracks whose most probable class is that of all windows, and how far the probability that
moves most does so on average.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgegenre.data.feature_cache import load_cache
from edgegenre_runtime.audio.excerpts import spread
from edgegenre_runtime.audio.files import audio_files
from edgegenre_runtime.errors import EdgeGenreError
from edgegenre_runtime.frontend import normalize
from edgegenre_runtime.library.analyze import AnalysisSettings, analyze_file, bundle_hash
from edgegenre_runtime.library.store import path_bytes
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle
from script_output import until_closed

COUNTS = (1, 2, 3, 5, 10, 20, 0)
"""Windows; 0 is all of them."""


def song_answers(classifier: GenreClassifier, cache_file: Path) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
    """Yield the class of each song and, by number of windows, its mean probabilities."""
    cache = load_cache(cache_file, classifier.tables)
    classes = [classifier.labels.index(label) for label in cache.labels]
    width = classifier.tables.spec.frames_per_window
    for track in range(len(cache.names)):
        frames = cache.track(track)
        n = frames.shape[1]
        starts = {k: spread(n, k, width) if k else range(0, n - width + 1, width // 2) for k in COUNTS}
        starts = {k: positions for k, positions in starts.items() if k * width <= n}
        found: dict[int, np.ndarray] = {}
        for start in sorted({s for positions in starts.values() for s in positions}):
            window = normalize(frames[:, start : start + width], classifier.tables)
            if classifier.answer_gate().hears_music(window):
                found[start] = classifier.probabilities(window.cells)
        none = np.zeros(len(classifier.labels))
        means = {k: [found[s] for s in positions if s in found] for k, positions in starts.items()}
        yield classes[cache.y[track]], {k: np.mean(p, axis=0) if p else none for k, p in means.items()}


def track_answers(classifier: GenreClassifier, folder: Path) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
    """Yield -1 and, by number of windows, a recording's mean probabilities."""
    digest, root, none = bundle_hash(classifier.bundle), str(default_bundle()), np.zeros(len(classifier.labels))
    for path in audio_files([folder]):
        answers = {k: analyze_file(path_bytes(path), AnalysisSettings(root, digest, k)) for k in COUNTS}
        if answers[0].probabilities is not None:
            yield -1, {k: none if a.probabilities is None else a.probabilities for k, a in answers.items()}


def print_table(answers: list[tuple[int, dict[int, np.ndarray]]]) -> None:
    """Print a row for each number of windows, over the tracks that are long enough for all of them."""
    counts = [k for k in COUNTS if sum(k in by_count for _, by_count in answers) > len(answers) / 2]
    answers = [(y, by_count) for y, by_count in answers if all(k in by_count for k in counts)]
    true = np.array([y for y, _ in answers])
    every = np.array([by_count[0] for _, by_count in answers])
    print(f"{len(answers)} tracks\nwindows  accuracy  as by all  moved")
    for k in counts:
        found = np.array([by_count[k] for _, by_count in answers])
        accuracy = f"{(found.argmax(1) == true).mean():8.3f}" if (true >= 0).all() else "       -"
        same = (found.argmax(1) == every.argmax(1)).mean()
        print(f"{k or 'all':>7}  {accuracy}  {same:9.3f}  {np.abs(found - every).max(1).mean():.3f}")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["songs", "tracks"])
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    classifier = GenreClassifier.load()
    measure = song_answers if options.what == "songs" else track_answers
    print_table(list(measure(classifier, options.data)))
    return 0


if __name__ == "__main__":
    with until_closed():
        try:
            sys.exit(main())
        except EdgeGenreError as error:
            sys.exit(f"measure_windows.py: {error}")
