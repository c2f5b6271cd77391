"""``edgegenre data protocol`` and ``edgegenre data replicas``: GTZAN's splits and copies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..common import Seed, Spec, check_output, check_suffix

__all__ = ["protocol", "replicas"]

Cache = Annotated[Path, typer.Argument(help="Feature cache (.npz).")]
Protocol = Annotated[str, typer.Option("--protocol", help="filtered, random (70/15/15) or kfold10.")]
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
