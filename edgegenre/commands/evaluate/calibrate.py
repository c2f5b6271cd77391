"""``edgegenre calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.errors import UsageError

from ..common import command_line, needs, require_installed

__all__ = ["calibrate"]


def calibrate(
    model: Annotated[Path, typer.Argument(help="Checkpoint, which is written anew.")],
    data: Annotated[
        list[Path] | None, typer.Argument(help="Feature caches with validation tracks; the first is the main one.")
    ] = None,
    sounds: Annotated[
        Path | None, typer.Option(help="Cache of `data sounds`: fit what tells music from other sounds.")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Take over what was fitted for this checkpoint: for the same recipe on all tracks."),
    ] = None,
) -> None:
    """Fit how sure a network says it is, and when it says that it does not know, on validation tracks.

    The temperature, from the first data set, goes into the weights; the detector of music and the confidence below
    which an answer is `uncertain` go into the checkpoint's JSON, and from there into every bundle. Scores recorded
    before are dropped: measure again with `evaluate --record`.

    Example: `edgegenre calibrate runs/mine music.npz outside.npz --sounds sounds.npz`
    """
    require_installed("train", "torch", "sklearn", "safetensors")
    if bool(data) == (like is not None) or (like is not None and sounds is not None):
        raise UsageError("give feature caches to calibrate on, or --like RUN alone")
    with needs("train"):
        from edgegenre.evaluate.calibration import calibrate as run

        if like is not None:
            result = run.calibrate_like(model, like, command_line())
        else:
            result = run.calibrate(model, data or [], sounds, command_line())
    detector = "steady noise alone is told from music" if result.detector is None else "music detector fitted"
    typer.echo(
        f"{model}: temperature {result.temperature:.3f}, uncertain below {result.uncertain_below:.3f}, {detector}"
    )
