"""``edgegenre data …``: toy music, splits, feature caches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgegenre.typer_app import CommandApp

from .common import (
    Levels,
    SchedulerOption,
    WorkersOption,
    check_output,
    check_suffix,
    chosen_workers,
    make_folder,
    needs,
    progress_bar,
    write_features,
)
from .protocol import protocol, replicas

__all__ = ["app"]

app = CommandApp(help="Make, split and cache data sets.")
app.command("protocol")(protocol)
app.command("replicas")(replicas)

Spec = Annotated[str, typer.Option("--spec", help="Front-end preset: seed3s (3.0 s windows) or wide9s (8.9 s).")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]


@app.command("toy")
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


@app.command("piece")
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


@app.command("split")
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


@app.command("prepare")
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
            from edgegenre.data.build_cache import Expansion

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


@app.command("import-logmel")
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


@app.command("import-songs")
def import_songs(
    folder: Annotated[Path, typer.Argument(help="Folder with logmel_1291.npz.")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
) -> None:
    """Import the ready set of songs from outside GTZAN: validation and test parts, no artist in both, none to train on.

    Example: `edgegenre data import-songs outside --out outside.npz`
    """
    from edgegenre.data.songs import import_songs as convert
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    make_folder(out.parent)
    n_songs = convert(folder, released(spec), out)
    typer.echo(f"{out}: {n_songs} songs, {spec}")


@app.command("unlabeled")
def unlabeled(
    folder: Annotated[Path, typer.Argument(help="Folder of music, searched recursively.")],
    out: Annotated[Path, typer.Option(help="Feature cache (.npz) to write.")],
    spec: Spec = "wide9s",
    seconds: Annotated[float, typer.Option(help="Length of a piece in seconds.", min=10)] = 30.0,
) -> None:
    """Cache one or two pieces of every recording in a folder, to learn from by soft labels.

    Example: `edgegenre data unlabeled music/ --out unlabeled.npz`
    """
    from edgegenre.data.unlabeled import cache_unlabeled
    from edgegenre_runtime.frontend import released

    check_suffix(out, ".npz")
    make_folder(out.parent)
    with progress_bar("recordings") as show:
        n_pieces, broken = cache_unlabeled(folder, released(spec), out, seconds, show)
    for path, reason in broken:
        typer.echo(f"left out {path}: {reason}", err=True)
    typer.echo(f"{out}: {n_pieces} pieces of {seconds:g} s, {spec}")


@app.command("sounds")
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
    from edgegenre.data.sounds import cache_sounds
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


@app.command("thin")
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


@app.command("fma")
def fma(
    tracks: Annotated[Path, typer.Argument(help="tracks.csv of fma_metadata.")],
    audio: Annotated[Path, typer.Argument(help="Folder such as fma_small, with 000/000002.mp3 in it.")],
    out: Annotated[Path, typer.Option(help="CSV manifest to write.")],
) -> None:
    """Make a manifest of the Free Music Archive set: top genre, artist and official split of each file that exists.

    Example: `edgegenre data fma fma_metadata/tracks.csv fma_small --out fma.csv`
    """
    from edgegenre.data.fma import read_fma
    from edgegenre.data.manifest import write_manifest

    check_suffix(out, ".csv")
    dataset = read_fma(tracks, audio)
    write_manifest(dataset, out)
    typer.echo(f"{out}: {len(dataset.tracks)} tracks, {len(dataset.labels)} classes: {', '.join(dataset.labels)}")
