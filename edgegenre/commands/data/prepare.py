"""``edgegenre data split``, ``prepare`` and ``thin``: feature caches with their splits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..common import (
    Levels,
    SchedulerOption,
    Seed,
    Spec,
    WorkersOption,
    check_output,
    check_suffix,
    chosen_workers,
    needs,
    write_features,
)

__all__ = ["prepare", "split", "thin"]


def split(
    data: Annotated[Path, typer.Argument(help="Folder with one sub-folder per class, or a CSV manifest.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    levels: Levels = 1,
    seed: Seed = 0,
) -> None:
    """Split a data set into train, valid and test by track and group, never by segment.

    Example: `edgegenre data split music/ --out split.json`
    """
    from edgegenre.data.sources import open_dataset
    from edgegenre.data.split import save_split, split_tracks

    check_output(out)
    parts = split_tracks(open_dataset(data, levels), seed)
    save_split(parts, out)
    typer.echo(f"{out}: train {len(parts.train)}, valid {len(parts.valid)}, test {len(parts.test)}")


def prepare(
    data: Annotated[Path, typer.Argument(help="Folder with one sub-folder per class, or a CSV manifest.")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
    split: Annotated[Path | None, typer.Option(help="Split file; drawn with --seed by default.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at broken files instead of skipping them.")] = False,
    expand: Annotated[
        int,
        typer.Option(help="Entries per training track: itself and augmented copies.", min=1),
    ] = 1,
    levels: Levels = 1,
    seed: Seed = 0,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Compute the log-mel frames of a data set once, with the front-end of the device.

    Copies differ in tempo, pitch, color, room, noise and level; only training tracks are copied.

    Example: `edgegenre data prepare music/ --out music.npz --expand 5`
    """
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    tables, expansion = released(spec), None
    if expand > 1:
        with needs("augment"):
            from edgegenre.augment.waveform import waveform_augmenter
            from edgegenre.data.builders.build_cache import Expansion

            expansion = Expansion(expand - 1, waveform_augmenter(tables.spec.sample_rate_hz), seed)
    if scheduler is not None:
        data = data.absolute()  # the workers are in folders of their own
    with chosen_workers(workers, scheduler) as opened:
        write_features(
            data,
            tables,
            out,
            seed=seed,
            split=split,
            strict=strict,
            levels=levels,
            expansion=expansion,
            workers=opened,
        )


def thin(
    features: Annotated[Path, typer.Argument(help="Feature cache (.npz).")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
    source: Annotated[str, typer.Option("--from", help="Front-end preset of the given cache.")] = "seed3s",
) -> None:
    """Write a cache as a front-end of a longer hop makes it, without reading the tracks again.

    Example: `edgegenre data thin music_seed3s.npz --out music.npz`
    """
    from edgegenre.data import feature_cache
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    check_output(out)
    cache = feature_cache.thin(feature_cache.load_cache(features, released(source)), released(spec))
    feature_cache.save_cache(cache, out)
    typer.echo(f"{out}: {len(cache.names)} tracks, {spec}")
