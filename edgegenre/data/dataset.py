"""Data sets: which tracks there are, what they are and who made them."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.audio.files import EXTENSIONS
from edgegenre_runtime.errors import DataError

__all__ = [
    "SPLIT_NAMES",
    "Dataset",
    "Track",
    "open_dataset",
    "read_manifest",
    "scan_folder",
    "write_manifest",
]

SPLIT_NAMES = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """One audio file of a data set.

    Attributes
    ----------
    name
        Path relative to the data set, with forward slashes; unique.
    path
        Where the file is.
    label
        Its class.
    group
        What must not be split, usually the artist; the track's name if nothing else is known.
    split
        ``"train"``, ``"valid"``, ``"test"`` as the manifest says, or ``""``.
    """

    name: str
    path: Path
    label: str
    group: str
    split: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """Tracks sorted by name, and the sorted labels they have (at least two)."""

    tracks: tuple[Track, ...]
    labels: tuple[str, ...]


def open_dataset(path: Path | str) -> Dataset:
    """Read a folder with one sub-folder a class, or a CSV manifest; raises :class:`DataError`."""
    path = Path(path)
    return scan_folder(path) if path.is_dir() else read_manifest(path)


def scan_folder(root: Path | str) -> Dataset:
    """Read a folder with one sub-folder a class (the GTZAN layout).

    Parameters
    ----------
    root
        Folder of folders; files are found recursively by :data:`edgegenre_runtime.audio.files.EXTENSIONS`, and names
        that begin with a dot are passed over. Each track is its own group.

    Raises
    ------
    DataError
        Not a folder, no tracks, or tracks of one class only.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: is not a folder; give a folder with one sub-folder a class, or a CSV manifest")
    tracks = []
    for path in root.glob("*/**/*"):
        parts = path.relative_to(root).parts
        if path.suffix.lower() in EXTENSIONS and path.is_file() and not any(p.startswith(".") for p in parts):
            name = "/".join(parts)
            tracks.append(Track(name=name, path=path, label=parts[0], group=name))
    return _dataset(tracks, root)


def read_manifest(path: Path | str) -> Dataset:
    """Read a CSV manifest in UTF-8 with a header line.

    Parameters
    ----------
    path
        Columns ``path`` (relative to the CSV's folder, or absolute) and ``label``, optionally ``group`` and
        ``split`` (train, valid or test, in every line or in none); other columns are passed over.

    Raises
    ------
    DataError
        Naming file and line: not UTF-8, missing columns or values, duplicate paths, an unknown split; no tracks
        or tracks of one class only.
    """
    path = Path(path)
    tracks: dict[Path, Track] = {}
    for line, row in _csv_rows(path):
        where = f"{path} line {line}"
        name, label = row["path"], row["label"]
        split = row.get("split", "")
        if not name or not label:
            raise DataError(f"{where}: path and label must not be empty")
        if "\0" in name:
            raise DataError(f"{where}: the path {name!r} has a NUL character")
        if split and split not in SPLIT_NAMES:
            raise DataError(f"{where}: unknown split {split!r}; allowed are {', '.join(SPLIT_NAMES)}")
        audio = path.parent / name
        real = Path(os.path.normpath(audio.absolute()))
        if real in tracks:
            raise DataError(f"{where}: {name} is listed twice")
        name = Path(name).as_posix()
        tracks[real] = Track(name=name, path=audio, label=label, group=row.get("group", "") or name, split=split)
    return _dataset(list(tracks.values()), path)


def write_manifest(dataset: Dataset, path: Path | str) -> None:
    """Write a data set as the CSV manifest that :func:`read_manifest` reads, with absolute paths.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "group", "split"))
    writer.writerows((track.path.absolute(), track.label, track.group, track.split) for track in dataset.tracks)
    with written_beside(path) as handle:
        handle.write(text.getvalue().encode())


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and stripped values of a manifest's rows, blank lines left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True, restval="")
            header = reader.fieldnames or []
            missing = [column for column in ("path", "label") if column not in header]
            if missing:
                raise DataError(f"{path} line 1: missing column {', '.join(missing)}; needed are path and label")
            for row in reader:
                if None in row:
                    raise DataError(f"{path} line {reader.line_num}: more values than the header has columns")
                yield reader.line_num, {column: value.strip() for column, value in row.items()}
    except OSError as error:
        raise DataError(f"{path}: cannot read the manifest ({(error.strerror or str(error)).lower()})") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{path} line {line}: the manifest is not UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path} line {reader.reader.line_num}: {error}") from error


def _dataset(tracks: list[Track], source: Path) -> Dataset:
    """Sort tracks into a data set; raises :class:`DataError` without two classes."""
    labels = tuple(sorted({track.label for track in tracks}))
    if not tracks:
        raise DataError(f"{source}: no tracks found; looked for {' '.join(EXTENSIONS)} in one sub-folder a class")
    if len(labels) < 2:
        raise DataError(f"{source}: all {len(tracks)} tracks are of class {labels[0]!r}; two classes are needed")
    return Dataset(tracks=tuple(sorted(tracks, key=lambda track: track.name)), labels=labels)
