"""``edgegenre inspect``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import needs
from edgegenre_runtime.errors import UsageError

__all__ = ["inspect"]


def inspect(path: Annotated[Path, typer.Argument(help="Bundle (folder, .zip or name), .tflite or .onnx.")]) -> None:
    """Say what a bundle or a model file is: tensors with dtypes and scales, operators, work, metadata, hashes.

    Exit code 1 means that files of the bundle are not what its manifest says. A bundle or a .tflite needs the base
    install alone.

    Example: `edgegenre inspect mine.bundle/model_int8.tflite`
    """
    if path.suffix == ".tflite":
        from edgegenre_runtime.inspect.bundle_summary import describe_tflite

        typer.echo(describe_tflite(_read(path)))
    elif path.suffix == ".onnx":
        with needs("export"):
            from edgegenre_export import inspect_onnx
        from edgegenre_runtime.inspect.bundle_summary import describe_model

        typer.echo(describe_model(inspect_onnx(_read(path))))
    else:
        _inspect_bundle(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _inspect_bundle(path: Path) -> None:
    from edgegenre_runtime.inspect.bundle_summary import changed_files, describe_bundle
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.bundle_names import find_bundle

    if os.path.isfile(path) and path.suffix != ".zip":
        raise UsageError(f"{path} is no bundle (a folder or .zip), .tflite or .onnx")
    bundle = read_bundle(find_bundle(path))
    typer.echo(describe_bundle(bundle))
    changed = changed_files(bundle)
    if changed:
        typer.echo("\n".join(changed), err=True)
        raise typer.Exit(1)
    typer.echo("hashes: every file is what the manifest says")
