"""``edgegenre baseline``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common import Seed, Spec, needs

if TYPE_CHECKING:
    from edgegenre.evaluate.metrics.single_label import Metrics

__all__ = ["baseline"]


def baseline(
    cache: Annotated[Path, typer.Argument(help="Feature cache (.npz).")],
    name: Annotated[
        str, typer.Option("--protocol", help="asis (the split in the cache), filtered, random or kfold10.")
    ] = "asis",
    seed: Seed = 0,
    grouped: Annotated[bool, typer.Option("--grouped", help="Keep artists and replicas together.")] = False,
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
