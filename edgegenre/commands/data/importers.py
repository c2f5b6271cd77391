"""Data sets in layouts of their own: ``edgegenre data import-logmel``, ``import-songs``, ``unlabeled`` and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..common import Seed, Spec, check_output, check_suffix, make_folder, needs, progress_bar

__all__ = ["fma", "import_logmel", "import_songs", "sounds", "unlabeled"]


def import_logmel(
    folder: Annotated[Path, typer.Argument(help="Folder with logmel_721.npz.")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
) -> None:
    """Import the ready GTZAN log-mel set, with its fault-filtered artist split.

    Example: `edgegenre data import-logmel gtzan --out gtzan.npz`
    """
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    with needs("train"):
        from edgegenre.gtzan.dataset import import_logmel as convert
    make_folder(out.parent)
    with progress_bar("log-mels") as show:
        n_clips = convert(folder, released(spec), out, show)
    typer.echo(f"{out}: {n_clips} clips, {spec}")


def import_songs(
    folder: Annotated[Path, typer.Argument(help="Folder with logmel_1291.npz.")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
) -> None:
    """Import the ready set of songs from outside GTZAN: validation and test parts, no artist in both, none to train on.

    Example: `edgegenre data import-songs outside --out outside.npz`
    """
    from edgegenre.data.builders.songs import import_songs as convert
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    make_folder(out.parent)
    n_songs = convert(folder, released(spec), out)
    typer.echo(f"{out}: {n_songs} songs, {spec}")


def unlabeled(
    folder: Annotated[Path, typer.Argument(help="Folder of music, searched recursively.")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
    seconds: Annotated[float, typer.Option(help="Length of a piece in seconds.", min=10)] = 30.0,
) -> None:
    """Cache one or two pieces of every recording in a folder, to learn from by soft labels.

    Example: `edgegenre data unlabeled music/ --out unlabeled.npz`
    """
    from edgegenre.data.builders.unlabeled import cache_unlabeled
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    make_folder(out.parent)
    with progress_bar("recordings") as show:
        n_pieces, broken = cache_unlabeled(folder, released(spec), out, seconds, show)
    for path, reason in broken:
        typer.echo(f"left out {path}: {reason}", err=True)
    typer.echo(f"{out}: {n_pieces} pieces of {seconds:g} s, {spec}")


def sounds(
    out: Annotated[Path, typer.Argument(help="Feature cache (.npz) to write.")],
    folder: Annotated[
        Path | None, typer.Option(help="Recordings as KIND/SOURCE/*.wav, taken too; scripts/sounds_from_packages.py.")
    ] = None,
    clips: Annotated[int, typer.Option(help="Rendered clips of each kind.", min=2)] = 24,
    seconds: Annotated[float, typer.Option(help="Length of a rendered clip in seconds.", min=1)] = 20.0,
    spec: Spec = "wide9s",
    seed: Seed = 0,
) -> None:
    """Cache sounds that are no music: noise, hum, rain, engines, applause, beeps, one instrument, and recordings.

    Half of the sources of each kind are to fit on (valid), the other half to measure by (test).

    Example: `edgegenre data sounds sounds.npz --folder recordings/`
    """
    from edgegenre.data.builders.sounds import cache_sounds
    from edgegenre.toy.sounds import KINDS, rendered_sounds
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    check_output(out)
    n_rendered = len(KINDS) * clips
    with progress_bar("sounds") as show:
        rendered = rendered_sounds(clips, seconds, seed)
        counts = cache_sounds(
            out, released(spec), rendered, folder, seed, lambda n: show(min(n, n_rendered), n_rendered)
        )
    typer.echo(
        f"{out}: {sum(counts.values())} sounds, {spec}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}"
    )


def fma(
    tracks: Annotated[Path, typer.Argument(help="tracks.csv of fma_metadata.")],
    audio: Annotated[Path, typer.Argument(help="Folder such as fma_small, with 000/000002.mp3 in it.")],
    out: Annotated[Path, typer.Option(help="CSV manifest to write.")],
) -> None:
    """Make a manifest of the Free Music Archive set: top genre, artist and official split of each file that exists.

    Example: `edgegenre data fma fma_metadata/tracks.csv fma_small --out fma.csv`
    """
    from edgegenre.data.sources.fma import read_fma
    from edgegenre.data.sources.manifest import write_manifest

    check_suffix(out, ".csv")
    dataset = read_fma(tracks, audio)
    write_manifest(dataset, out)
    typer.echo(f"{out}: {len(dataset.tracks)} tracks, {len(dataset.labels)} classes: {', '.join(dataset.labels)}")
