"""``edgegenre explain`` and ``edgegenre features``: pictures and statistics of one clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.printable import printable

from ..common import check_output, needs, require_installed

__all__ = ["explain", "features"]

File = Annotated[Path, typer.Argument(help="Audio file.")]


def explain(
    file: File,
    out: Annotated[Path, typer.Option(help="PNG to write.")],
    checkpoint: Annotated[Path | None, typer.Option(help="Checkpoint; default: the shipped one.")] = None,
    genre: Annotated[str | None, typer.Option(help="Class to explain; default: the most probable one.")] = None,
) -> None:
    """Plot which parts of the mel spectrogram speak for a genre (Grad-CAM), and where an attention pool looks.

    Example: `edgegenre explain song.mp3 --out song.png`
    """
    check_output(out)
    with needs("train"):
        from edgegenre.checkpoint import default_checkpoint, load_checkpoint
        from edgegenre.evaluate.grad_cam import explain as run
        from edgegenre.evaluate.grad_cam import plot_explanation

        loaded = load_checkpoint(checkpoint if checkpoint is not None else default_checkpoint())
        result = run(loaded, file, genre)
        plot_explanation(result, file.name, out)
    typer.echo(f"{out}: {result.label}, probability {result.probability:.3f}")


def features(
    file: File,
    kind: Annotated[str, typer.Option(help="mel, mfcc, chroma, contrast, tempogram or tonnetz.")] = "mel",
    plot: Annotated[Path | None, typer.Option(help="PNG to write.")] = None,
) -> None:
    """Compute a descriptor of an audio file with librosa, print its statistics, and plot it.

    Example: `edgegenre features song.mp3 --kind chroma --plot chroma.png`
    """
    from edgegenre.data.clips import read_clip
    from edgegenre.data.descriptors import check_kind, describe, plot_descriptor

    check_kind(kind)
    if plot is not None:
        check_output(plot)
    require_installed("train", "librosa", "matplotlib")
    clip = read_clip(file, 22050)
    values = describe(clip, kind)
    typer.echo(
        f"{printable(str(file))}: {kind}, {values.shape[0]} rows, {values.shape[1]} frames, mean {values.mean():.3f}, "
        f"standard deviation {values.std():.3f}, {values.min():.3f} to {values.max():.3f}"
    )
    if plot is not None:
        plot_descriptor(values, kind, clip.sample_rate_hz, file.name, plot)
        typer.echo(f"{plot}: plot")
