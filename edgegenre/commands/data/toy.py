"""``edgegenre data toy`` and ``edgegenre data piece``: rendered music."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..common import Seed, check_suffix, progress_bar

__all__ = ["piece", "toy"]


def toy(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    clips: Annotated[int, typer.Option(help="Clips of each of the ten styles.", min=1)] = 20,
    seconds: Annotated[float, typer.Option(help="Length of a clip in seconds.", min=0.1)] = 10.0,
    task: Annotated[
        Literal["single", "multi", "hierarchy"],
        typer.Option(help="hierarchy: styles in folders of families; multi: up to three styles at once."),
    ] = "single",
    seed: Seed = 0,
) -> None:
    """Render a small data set: ten separable styles from a step sequencer, in GTZAN's layout.

    Example: `edgegenre data toy toy --clips 20`
    """
    from edgegenre.toy.dataset import write_dataset, write_mixtures

    with progress_bar("toy clips") as show:
        if task == "multi":
            manifest = write_mixtures(out, clips * 10, seconds, seed, show)
            typer.echo(f"{manifest}: {clips * 10} clips of {seconds:g} s in 10 styles, up to three at once")
            return
        written = write_dataset(out, clips, seconds, seed, show, in_families=task == "hierarchy")
    typer.echo(f"{out}: {len(written)} clips of {seconds:g} s in 10 styles")


def piece(
    style: Annotated[str, typer.Argument(help="One of the ten styles, e.g. disco.")],
    out: Annotated[Path, typer.Option(help="WAV file to write.")],
    seconds: Annotated[float, typer.Option(help="Length in seconds.", min=0.1)] = 10.0,
    seed: Seed = 0,
) -> None:
    """Render one piece of toy music.

    Example: `edgegenre data piece disco --out disco.wav`
    """
    from edgegenre.toy.dataset import write_piece

    check_suffix(out, ".wav")
    write_piece(out, style, seed, seconds)
    typer.echo(f"{out}: {seconds:g} s of {style}, seed {seed}")
