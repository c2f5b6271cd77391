"""``edgegenre sign``: key pairs and signed bundles; needs the extra ``sign`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre.typer_app import CommandApp

if TYPE_CHECKING:
    from edgegenre_runtime.signature import PrivateKey

__all__ = ["app", "sign_and_report"]

app = CommandApp(help="Make key pairs and sign bundles.")


@app.command("new-key")
def new_key(
    path: Annotated[Path, typer.Argument(help="Private key to write; the public one goes beside it as .pub.")],
) -> None:
    """Make an Ed25519 key pair: the private key stays where bundles are released, the .pub goes to the devices.

    Example: `edgegenre sign new-key release.key`
    """
    from edgegenre_export.package.sign import new_key_pair, public_path

    identity = new_key_pair(path)
    typer.echo(f"{path}: private key {identity}, for you alone; {public_path(path)}: its public half, for --trust")


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(help="Bundle folder.")],
    key: Annotated[list[Path], typer.Option(help="Private key; repeatable, while devices go from one to the next.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the release, if not the one it has or the folder's.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Version of the release; else the time now as YYYYMMDDhhmmss.", min=1)
    ] = None,
) -> None:
    """Sign a bundle, as `edgegenre export --sign` does: devices with `--trust` run it, and update to it.

    Example: `edgegenre sign bundle mine.bundle --key release.key`
    """
    from edgegenre_export.package.sign import read_keys

    sign_and_report(folder, read_keys(key), name=name, version=version)


def sign_and_report(
    folder: Path, keys: tuple[PrivateKey, ...], *, name: str | None = None, version: int | None = None
) -> None:
    """Sign a bundle and say so."""
    from edgegenre_export.package.sign import sign_bundle

    release = sign_bundle(folder, keys, name=name, version=version)
    identities = ", ".join(key.identity for key in keys)
    typer.echo(f"{folder}: signed as {release.name}, version {release.version}, by {identities}")
