"""How well genres are learned on a device: two genres that the network never saw, from 1, 5 and 10 tracks each.

    python scripts/measure_learning.py cache CACHE --hold blues,metal --out EIGHT
    edgegenre fit-head … or edgegenre train EIGHT …; edgegenre export RUN --int8 --data EIGHT --out BUNDLE
    python scripts/measure_learning.py learn BUNDLE CACHE
    python scripts/measure_learning.py cost BUNDLE

`cache` writes a feature cache without the two genres. `learn` takes the genres of CACHE that BUNDLE does not know,
learns them from training tracks drawn at random, by the code and the int8 embeddings of the device, and classifies the
tracks of a part by the mean of their windows' probabilities, as `edgegenre-run` does. `cost` counts the instructions of
learning from 30 s of toy music on an emulated Raspberry Pi Zero 2 W (Cortex-A53).
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

from edgegenre.data.feature_cache import FeatureCache, load_cache, save_cache
from edgegenre.data.windows import track_windows
from edgegenre_runtime.errors import EdgeGenreError, UsageError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.network.personal.class_statistics import read_statistics
from edgegenre_runtime.network.personal.head import PersonalHead, learn_class
from edgegenre_runtime.network.quantization import dequantize, softmax


def without(cache: FeatureCache, held: list[str]) -> FeatureCache:
    """Return a cache without the tracks of some genres."""
    unknown = sorted(set(held) - set(cache.labels))
    if unknown or not held:
        raise UsageError(f"--hold {','.join(held)}: the cache has {', '.join(cache.labels)}")
    kept = [i for i in range(len(cache.names)) if cache.labels[cache.y[i]] not in held]
    labels = tuple(label for label in cache.labels if label not in held)
    tracks = [cache.track(i) for i in kept]
    return dataclasses.replace(
        cache,
        frames=np.concatenate(tracks, axis=1),
        offsets=np.cumsum([0, *(track.shape[1] for track in tracks)], dtype=np.int64),
        y=np.array([labels.index(cache.labels[cache.y[i]]) for i in kept], np.int64),
        labels=labels,
        names=tuple(cache.names[i] for i in kept),
        groups=tuple(cache.groups[i] for i in kept),
        split=cache.split[kept],
    )


class Tracks:
    """Logits and embeddings of a cache's tracks by a bundle's network."""

    def __init__(self, classifier: GenreClassifier, cache: FeatureCache) -> None:
        self.classifier, self.cache = classifier, cache
        self.labels = (*classifier.labels, *(label for label in cache.labels if label not in classifier.labels))
        self.truth = np.array([self.labels.index(cache.labels[label]) for label in cache.y])
        self._seen: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __getitem__(self, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Return float32 logits [n, C] and embeddings [n, D] of a track's windows."""
        if track not in self._seen:
            backend, windows = self.classifier.backend, track_windows(self.cache, track, self.classifier.tables)
            logits, vectors = zip(*(backend.run_both(cells) for cells in windows), strict=True)
            self._seen[track] = (
                dequantize(np.stack(logits), *backend.output_quantization),
                dequantize(np.stack(vectors), *backend.embedding_quantization),
            )
        return self._seen[track]

    def answer(self, track: int, head: PersonalHead | None) -> int:
        """Return the class of a track, with the learned ones behind the bundle's."""
        logits, vectors = self[track]
        if head is not None:
            more = [head.logits(vector, row) for vector, row in zip(vectors, logits, strict=True)]
            logits = np.concatenate((logits, np.stack(more)), axis=1)
        return int(softmax(logits).mean(axis=0).argmax())


def measure(tracks: Tracks, part: str, n_shots: list[int], draws: int) -> None:
    """Print, for each number of tracks, what the mean over the draws of examples is."""
    classifier, truth = tracks.classifier, tracks.truth
    n_old, statistics = len(classifier.labels), read_statistics(classifier.bundle)
    new = range(n_old, len(tracks.labels))
    if not new:
        raise UsageError("the bundle knows every genre of the cache: hold two out of its training")
    asked, train = tracks.cache.tracks_of(part), tracks.cache.tracks_of("train")
    old = [track for track in asked if truth[track] < n_old]
    held = [track for track in asked if truth[track] >= n_old]
    before = float(np.mean([tracks.answer(track, None) == truth[track] for track in old]))
    names = ", ".join(tracks.labels[label] for label in new)
    print(f"held out: {names}; {part}: {len(old)} tracks of old genres, right before {before:.4f}, {len(held)} of new")
    print("tracks learned from | new genres right | old genres right | old, lost points")
    for n_shot in n_shots:
        rng, found = np.random.default_rng(n_shot), []
        for _ in range(draws):
            classes = []
            for label in new:
                chosen = rng.choice(train[truth[train] == label], n_shot, replace=False)
                classes.append(learn_class(tracks.labels[label], [tracks[track][1] for track in chosen], statistics))
            head = PersonalHead(statistics, tuple(classes))
            found.append([np.mean([tracks.answer(t, head) == truth[t] for t in some]) for some in (held, old)])
        right_new, right_old = np.mean(found, axis=0)
        print(f"{n_shot} | {right_new:.4f} | {right_old:.4f} | {100 * (before - right_old):.2f}", flush=True)


def print_cost(bundle: Path, device: str) -> None:
    """Print the instructions of learning from one track, and the time that the device's profile makes of them."""
    from edgegenre.toy.dataset import render
    from edgegenre_bench.emulate.learning_instructions import count_learning
    from edgegenre_bench.results.device_profiles import load_device

    profile = load_device(device)
    found = count_learning(bundle, render("disco", 1, 30.0), "cortex-a53")
    print(f"{profile.title}, {found.backend}, {found.windows} windows of 30 s:")
    print(f"{found.embed / 1e6:.1f} M instructions for the embeddings, {found.learn / 1e6:.2f} M for the class")
    print(f"estimate: {profile.estimate_ms(found.embed + found.learn):.0f} ms a track, without decoding the file")


def main() -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    make = modes.add_parser("cache")
    make.add_argument("cache", type=Path)
    make.add_argument("--hold", required=True, help="genres to leave out, separated by commas")
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--spec", default="seed3s")
    run = modes.add_parser("learn")
    run.add_argument("bundle", type=Path)
    run.add_argument("cache", type=Path)
    run.add_argument("--part", choices=("valid", "test"), default="test")
    run.add_argument("--tracks", type=int, nargs="+", default=[1, 5, 10])
    run.add_argument("--draws", type=int, default=10)
    cost = modes.add_parser("cost")
    cost.add_argument("bundle", type=Path)
    cost.add_argument("--device", default="rpizero2w")
    options = parser.parse_args()
    try:
        if options.mode == "cache":
            cache = load_cache(options.cache, released(options.spec))
            save_cache(without(cache, options.hold.split(",")), options.out)
            return 0
        if options.mode == "cost":
            print_cost(options.bundle, options.device)
            return 0
        classifier = GenreClassifier.load(options.bundle)
        classifier.require_embedding()
        cache = load_cache(options.cache, classifier.tables)
        measure(Tracks(classifier, cache), options.part, options.tracks, options.draws)
    except EdgeGenreError as error:
        print(f"measure_learning: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
