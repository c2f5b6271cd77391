"""How well genres are learned on a device: two genres that the network never saw, from 1, 5 and 10 tracks each.

    python scripts/measure_learning.py cache CACHE --hold blues,metal --out EIGHT
    edgegenre fit-head … or edgegenre train EIGHT …; edgegenre export RUN --int8 --data EIGHT --out BUNDLE
    python scripts/measure_learning.py learn BUNDLE CACHE
    python scripts/measure_learning.py pairs BUNDLE CACHE
    python scripts/measure_learning.py cost BUNDLE

`cache` writes a feature cache without the two genres. `learn` takes the genres of CACHE that BUNDLE does not know,
learns them from training tracks drawn at random, by the code and the int8 embeddings of the device, and classifies the
tracks of a part by the mean of their windows' probabilities, as `edgegenre-run` does. `pairs` does so for ten pairs of
ten genres in turn, with a head fitted to the other eight: only for a network whose body is as published (`edgegenre
fit-head`), since one trained on the cache knows its genres. `cost` counts the instructions of learning from 30 s of toy
music on an emulated Raspberry Pi Zero 2 W (Cortex-A53).
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
from edgegenre_runtime.network.personal.class_statistics import ClassStatistics, read_statistics
from edgegenre_runtime.network.personal.head import PersonalHead, learn_class
from edgegenre_runtime.network.quantization import dequantize, softmax
from script_output import until_closed

PAIRS = ((0, 5), (1, 6), (2, 7), (3, 8), (4, 9), (0, 8), (1, 7), (2, 6), (3, 9), (4, 5))
"""Genres held out together, each twice."""

INVERSE_PENALTY = 3e-3
"""As `edgegenre fit-head` has it."""


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


@dataclasses.dataclass
class Question:
    """What is asked of a network that does not know some of a cache's genres: embeddings, logits, and the truth."""

    cache: FeatureCache
    labels: tuple[str, ...]  # the network's, then the others
    n_old: int
    vectors: list[np.ndarray]  # float32 [n, D] of each track's windows
    logits: list[np.ndarray]  # float32 [n, C]
    statistics: ClassStatistics

    @property
    def truth(self) -> np.ndarray:
        """The class of each track, of ``labels``."""
        return np.array([self.labels.index(self.cache.labels[label]) for label in self.cache.y])

    def answers(self, tracks: np.ndarray, head: PersonalHead | None) -> np.ndarray:
        """Return the class of each track, with the learned ones behind the network's."""
        found = []
        for track in tracks:
            logits = self.logits[track]
            if head is not None:
                logits = np.concatenate((logits, head.logits(self.vectors[track], logits)), axis=1)
            found.append(int(softmax(logits).mean(axis=0).argmax()))
        return np.array(found)


def run_network(classifier: GenreClassifier, cache: FeatureCache) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return logits and embeddings of every track's windows."""
    backend, logits, vectors = classifier.backend, [], []
    for track in range(len(cache.names)):
        outputs = [backend.run_both(cells) for cells in track_windows(cache, track, classifier.tables)]
        raw, embedded = zip(*outputs, strict=True)
        logits.append(dequantize(np.stack(raw), *backend.output_quantization))
        vectors.append(dequantize(np.stack(embedded), *backend.embedding_quantization))
    return logits, vectors


def measure(asked: Question, part: str, n_shots: list[int], draws: int) -> dict[int, np.ndarray]:
    """Return, by number of tracks, the mean over draws of: new genres right, old genres right, old ones before."""
    truth, train, tracks = asked.truth, asked.cache.tracks_of("train"), asked.cache.tracks_of(part)
    old, new = tracks[truth[tracks] < asked.n_old], tracks[truth[tracks] >= asked.n_old]
    before = np.mean(asked.answers(old, None) == truth[old])
    results = {}
    for n_shot in n_shots:
        rng, found = np.random.default_rng(n_shot), []
        for _ in range(draws):
            classes = []
            for label in range(asked.n_old, len(asked.labels)):
                chosen = rng.choice(train[truth[train] == label], n_shot, replace=False)
                examples = [asked.vectors[track] for track in chosen]
                classes.append(learn_class(asked.labels[label], examples, asked.statistics))
            head = PersonalHead(asked.statistics, tuple(classes))
            found.append([np.mean(asked.answers(some, head) == truth[some]) for some in (new, old)])
        results[n_shot] = np.array([*np.mean(found, axis=0), before])
    return results


def print_results(title: str, results: dict[int, np.ndarray]) -> None:
    """Print a line for each number of tracks."""
    print(title)
    for n_shot, (new, old, before) in results.items():
        lost = 100 * (before - old)
        print(f"  from {n_shot:2} tracks each: new {new:.4f}, old {before:.4f} -> {old:.4f} ({lost:.2f} points lost)")
    sys.stdout.flush()


def measure_bundle(classifier: GenreClassifier, cache: FeatureCache, options: argparse.Namespace) -> None:
    """Measure a bundle that does not know some genres of the cache."""
    labels = (*classifier.labels, *(label for label in cache.labels if label not in classifier.labels))
    if len(labels) == len(classifier.labels):
        raise UsageError("the bundle knows every genre of the cache: hold two out of its training")
    logits, vectors = run_network(classifier, cache)
    statistics = read_statistics(classifier.bundle)
    asked = Question(cache, labels, len(classifier.labels), vectors, logits, statistics)
    held = ", ".join(labels[asked.n_old :])
    print_results(f"{options.part}, held out: {held}", measure(asked, options.part, options.tracks, options.draws))


def measure_pairs(classifier: GenreClassifier, cache: FeatureCache, options: argparse.Namespace) -> None:
    """Hold out ten pairs of genres in turn, fitting the head to the others each time; the body must not know any."""
    from edgegenre.train.frozen.feature_teacher import fit_regression
    from edgegenre_export.check.class_statistics import measure_statistics

    _, vectors = run_network(classifier, cache)
    means, names = np.stack([track.mean(axis=0) for track in vectors]), cache.labels
    every = []
    for held in PAIRS:
        labels = (*(name for i, name in enumerate(names) if i not in held), *(names[i] for i in held))
        train = np.array([track for track in cache.tracks_of("train") if cache.y[track] not in held])
        truth = np.array([labels.index(names[cache.y[track]]) for track in train])
        fitted = fit_regression(means[train], truth, INVERSE_PENALTY)
        logits = [fitted.decision_function(track).astype(np.float32) for track in vectors]
        statistics = measure_statistics([vectors[track] for track in train], truth, len(names) - len(held))
        asked = Question(cache, labels, len(names) - len(held), vectors, logits, statistics)
        every.append(measure(asked, options.part, options.tracks, options.draws))
        print_results(f"{options.part}, held out: {', '.join(names[i] for i in held)}", every[-1])
    mean = {n_shot: np.mean([results[n_shot] for results in every], axis=0) for n_shot in options.tracks}
    print_results(f"{options.part}, mean of {len(every)} pairs", mean)


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
    for mode in ("learn", "pairs"):
        run = modes.add_parser(mode)
        run.add_argument("bundle", type=Path)
        run.add_argument("cache", type=Path)
        run.add_argument("--part", choices=("valid", "test"), default="test")
        run.add_argument("--tracks", type=int, nargs="+", default=[1, 5, 10])
        run.add_argument("--draws", type=int, default=5)
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
        (measure_bundle if options.mode == "learn" else measure_pairs)(classifier, cache, options)
    except EdgeGenreError as error:
        print(f"measure_learning: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    with until_closed():
        sys.exit(main())
