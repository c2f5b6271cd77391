"""``edgegenre augment``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.printable import printable

from .common import Spec, check_output, needs

__all__ = ["augment"]


def augment(
    file: Annotated[Path, typer.Argument(help="Audio file.")],
    plot: Annotated[Path, typer.Option(help="PNG to write.")],
    spec: Spec = "wide9s",
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
) -> None:
    """Plot a window of a file as the network's input, unchanged and after each augmentation.

    The waveform transforms of `data prepare --expand` are included where audiomentations is installed.

    Example: `edgegenre augment song.mp3 --plot augment.png`
    """
    from edgegenre.data.clips import read_clip
    from edgegenre_runtime.frontend import log_mel, released

    check_output(plot)
    tables = released(spec)
    pcm = read_clip(file, tables.spec.sample_rate_hz, min_samples=tables.spec.n_fft).pcm
    with needs("train"):
        from edgegenre.augment.plot import draw_panels, feature_panels, waveform_panels

        panels = feature_panels(log_mel(pcm, tables).frames_q9, tables, seed)
        if find_spec("audiomentations") is not None:
            panels |= waveform_panels(pcm, tables, seed)
        else:
            typer.echo("audiomentations is not installed: waveform transforms are left out", err=True)
        draw_panels(panels, plot)
    typer.echo(f"{plot}: {len(panels)} windows of {printable(file.name)}, seed {seed}")
