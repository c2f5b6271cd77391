"""``edgegenre export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre_runtime.bundle import check_destination
from edgegenre_runtime.frontend import Tables, UsageError, released

from .common import command_line, needs

if TYPE_CHECKING:
    from edgegenre.checkpoint import Checkpoint
    from edgegenre_export.calibration import Calibration

__all__ = ["export"]


def export(
    checkpoint: Annotated[Path | None, typer.Argument(help="Checkpoint; the shipped one if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")] = Path("bundle"),
    int8: Annotated[bool, typer.Option("--int8", help="Int8 TFLite and ONNX (without it: float only).")] = False,
    calibration: Annotated[
        Path | None, typer.Option(help="Feature cache whose training split sets the activation scales.")
    ] = None,
    windows: Annotated[int, typer.Option(help="Calibration windows.", min=10)] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the calibration windows.", min=0)] = 0,
) -> None:
    """Export a checkpoint as a bundle for devices.

    Calibration windows come from the training split that the checkpoint was trained on, else from --calibration;
    the shipped checkpoint, whose recordings cannot be shipped, is calibrated on rendered toy music.

    Example: `edgegenre export runs/mine --int8 --out mine.bundle`
    """
    with needs("export"):
        from edgegenre.checkpoint import default_checkpoint, load_checkpoint
        from edgegenre_export import export_bundle
        from edgegenre_export.draw import golden_pcm
    check_destination(out)
    loaded = load_checkpoint(checkpoint if checkpoint is not None else default_checkpoint())
    tables = released(loaded.spec.name)
    chosen = _calibration(loaded, tables, calibration, windows, seed)
    typer.echo(f"calibration: {len(chosen.windows)} windows of {chosen.source}", err=True)
    result = export_bundle(
        loaded,
        tables,
        chosen,
        out,
        golden_pcm=golden_pcm(tables),
        command=command_line(),
        recipe="int8" if int8 else "float",
        progress=lambda line: typer.echo(f"  {line} …", err=True),
    )
    for name, certificate in result.certificates.items():
        if name == "model_int8.tflite":
            typer.echo(certificate.format_table())
    for name, agreement in result.agreement.items():
        typer.echo(
            f"{name}: {result.sizes_bytes[name] / 1000:.0f} kB, same top class as the trained network on "
            f"{agreement.top1_agreement:.1%} of the calibration windows, largest probability difference "
            f"{agreement.max_probability_difference:.3f}"
        )
    for name, agreement in result.waveform_agreement.items():
        typer.echo(
            f"{name}: {result.sizes_bytes[name] / 1000:.0f} kB, same top class as the mel path on "
            f"{agreement.top1_agreement:.1%} of {agreement.n_windows} golden windows, largest probability difference "
            f"{agreement.max_probability_difference:.4f}"
        )
    hint = f"; run it with  edgegenre-run --bundle {out} FILE" if int8 else ""
    typer.echo(f"{out}: written in {result.seconds:.1f} s{hint}")


def _calibration(checkpoint: Checkpoint, tables: Tables, features: Path | None, n: int, seed: int) -> Calibration:
    """Draw calibration windows: from ``features``, the checkpoint's own training features, or toy music."""
    from edgegenre.features import load_cache
    from edgegenre_export.draw import draw_calibration, toy_calibration

    recorded = checkpoint.meta.get("features")
    if features is None and recorded and Path(recorded).exists():
        features = Path(recorded)
    if features is not None:
        return draw_calibration(load_cache(features, tables), tables, n, seed, str(features))
    if checkpoint.meta.get("calibration") == "toy":
        return toy_calibration(tables, n, seed)
    raise UsageError(
        f"the training features {recorded} are not there any more: name a feature cache with --calibration"
    )
