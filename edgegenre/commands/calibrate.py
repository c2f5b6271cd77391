"""``edgegenre calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import command_line, needs, require_installed

__all__ = ["calibrate"]


def calibrate(
    model: Annotated[Path, typer.Argument(help="Checkpoint, which is written anew.")],
    data: Annotated[
        list[Path], typer.Argument(help="Feature caches with validation tracks; the first is the main one.")
    ],
    sounds: Annotated[
        Path | None, typer.Option(help="Cache of `data sounds`: fit what tells music from other sounds.")
    ] = None,
) -> None:
    """Fit how sure a network says it is, and when it says that it does not know, on validation tracks.

    The temperature, from the first data set, goes into the weights; the detector of music and the confidence below
    which an answer is `uncertain` go into the checkpoint's JSON, and from there into every bundle. Scores recorded
    before are dropped: measure again with `evaluate --record`.

    Example: `edgegenre calibrate runs/mine music.npz outside.npz --sounds sounds.npz`
    """
    require_installed("train", "torch", "sklearn", "safetensors")
    with needs("train"):
        from edgegenre.evaluate.calibrate import calibrate as run

        result = run(model, data, sounds, command_line())
    detector = "steady noise alone is told from music" if result.detector is None else "music detector fitted"
    typer.echo(
        f"{model}: temperature {result.temperature:.3f}, uncertain below {result.uncertain_below:.3f}, {detector}"
    )
