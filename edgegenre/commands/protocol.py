"""``edgegenre data protocol``, ``edgegenre data replicas`` and ``edgegenre baseline``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import check_output, check_suffix, needs

if TYPE_CHECKING:
    from edgegenre.evaluate.metrics import Metrics

__all__ = ["baseline", "protocol", "replicas"]

Cache = Annotated[Path, typer.Argument(help="Feature cache (.npz).")]
Spec = Annotated[str, typer.Option("--spec", help="Front-end preset of the cache: seed3s or wide9s.")]
Protocol = Annotated[str, typer.Option("--protocol", help="filtered, random (70/15/15) or kfold10.")]
Seed = Annotated[int, typer.Option(help="Seed of the split.", min=0)]
Grouped = Annotated[bool, typer.Option("--grouped", help="Keep artists and replicas together.")]


def protocol(
    cache: Cache,
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    name: Protocol = "filtered",
    seed: Seed = 0,
    fold: Annotated[int, typer.Option(help="Fold of kfold10 that is the test, 0 to 9.")] = 0,
    grouped: Grouped = False,
    spec: Spec = "wide9s",
) -> None:
    """Write a cache with the split of a protocol, for train, evaluate and baseline.

    Example: `edgegenre data protocol gtzan.npz --protocol random --seed 0 --out random.npz`
    """
    from edgegenre.data.feature_cache import load_cache, save_cache
    from edgegenre.gtzan.protocols import assign_protocol, leaking_tracks, protocol_groups
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    check_output(out)
    result = assign_protocol(load_cache(cache, released(spec)), name, seed=seed, fold=fold, is_grouped=grouped)
    save_cache(result, out)
    sizes = ", ".join(f"{part} {len(result.tracks_of(part))}" for part in ("train", "valid", "test"))
    n_leaking = leaking_tracks(result, protocol_groups(result))
    typer.echo(
        f"{out}: {name}{' grouped' if grouped else ''}, {sizes}; {n_leaking} test tracks have their artist or a "
        "replica in training"
    )


def replicas(
    cache: Cache,
    search: Annotated[bool, typer.Option("--search", help="Compare all pairs of tracks (slow).")] = False,
    spec: Spec = "wide9s",
) -> None:
    """List GTZAN clips of one artist and title with the correlation of their log-mels.

    Example: `edgegenre data replicas gtzan.npz`
    """
    from edgegenre.data.feature_cache import load_cache
    from edgegenre.gtzan.duplicates import REPLICA_CORRELATION, find_replicas, search_replicas
    from edgegenre_runtime.frontend import released

    loaded = load_cache(cache, released(spec))
    pairs = search_replicas(loaded) if search else find_replicas(loaded)
    for pair in pairs:
        mark = "replica" if pair.is_confirmed else "-"
        typer.echo(f"{pair.a}  {pair.b}  {pair.correlation:6.3f}  {pair.offset_s:+6.1f} s  {mark}")
    confirmed = sum(pair.is_confirmed for pair in pairs)
    what = "found among all pairs" if search else f"of {len(pairs)} pairs with the same artist and title"
    typer.echo(f"{confirmed} replicas {what} (correlation at least {REPLICA_CORRELATION})")


def baseline(
    cache: Cache,
    name: Annotated[
        str, typer.Option("--protocol", help="asis (the split in the cache), filtered, random or kfold10.")
    ] = "asis",
    seed: Seed = 0,
    grouped: Grouped = False,
    kind: Annotated[str, typer.Option(help="Statistics of: mel or mfcc.")] = "mel",
    spec: Spec = "wide9s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a support vector machine on statistics of the log-mels: the baseline that a network must beat.

    C and gamma are chosen on the validation tracks. Under kfold10 all ten folds are run.

    Example: `edgegenre baseline gtzan.npz --protocol random --seed 0 --grouped`
    """
    from edgegenre.data.feature_cache import load_cache
    from edgegenre.gtzan.protocols import FOLDS, assign_protocol
    from edgegenre_runtime.frontend import released

    loaded = load_cache(cache, released(spec))
    with needs("train"):
        from edgegenre.evaluate.svm_baseline import run_baseline
    tests: list[Metrics] = []
    for fold in range(FOLDS if name == "kfold10" else 1):
        parts = loaded if name == "asis" else assign_protocol(loaded, name, seed=seed, fold=fold, is_grouped=grouped)
        result = run_baseline(parts, kind)
        tests.append(result.test)
        if not as_json:
            low, high = result.test.accuracy_95
            typer.echo(
                f"{kind} + SVM (C {result.cost:g}, gamma {result.gamma:g}/n): valid {result.valid_accuracy:.4f}, test "
                f"{result.test.accuracy:.4f} of {result.test.n} tracks (95 % interval {low:.3f} to {high:.3f}), "
                f"weighted F1 {result.test.weighted_f1:.4f}"
            )
    n = sum(test.n for test in tests)
    accuracy = sum(test.accuracy * test.n for test in tests) / n
    if as_json:
        typer.echo(json.dumps({"accuracy": accuracy, "n_tracks": n, "folds": [test.accuracy for test in tests]}))
    elif len(tests) > 1:
        typer.echo(f"all folds: {accuracy:.4f} of {n} tracks")
