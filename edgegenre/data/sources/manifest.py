"""CSV manifests: one line per track, with its path, label, and perhaps group and split."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.printable import printable

from ..dataset import SPLIT_NAMES, Dataset, Track, make_dataset
from ..labels import task_of

__all__ = ["csv_rows", "read_manifest", "write_manifest"]

_SYNONYMS = {
    "path": ("file", "filename", "file_name", "filepath", "file_path", "audio", "audio_path", "track", "name"),
    "label": ("genre", "class", "category", "target", "tag", "style"),
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_manifest(path: Path | str) -> Dataset:
    """Read a CSV manifest in UTF-8 with a header line.

    Parameters
    ----------
    path
        Columns ``path`` (relative to the CSV's folder, or absolute) and ``label`` (a class, several as ``blues;rock``,
        or a path as ``rock/punk``), optionally ``group`` and
        ``split`` (train, valid or test, in every line or in none), in upper or lower case; other columns are passed
        over.

    Raises
    ------
    DataError
        Naming file and line, what was found and what to do: not UTF-8, missing columns or values, duplicate paths, an
        unknown split; no tracks or tracks of one class only; labels that are wrong (:func:`.labels.task_of`).
    """
    path = Path(path)
    tracks: dict[Path, Track] = {}
    for line, row in csv_rows(path, _SYNONYMS):
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
        name = printable(Path(name).as_posix())
        if real in tracks:
            raise DataError(f"{where}: {name} is listed twice")
        task_of([label], where)
        tracks[real] = Track(name=name, path=audio, label=label, group=row.get("group", "") or name, split=split)
    return make_dataset(tracks.values(), path)


def write_manifest(dataset: Dataset, path: Path | str) -> None:
    """Write a data set as the CSV manifest that :func:`read_manifest` reads, with absolute paths.

    Raises
    ------
    DataError
        The file cannot be written, or a path is not UTF-8.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "group", "split"))
    writer.writerows((track.path.absolute(), track.label, track.group, track.split) for track in dataset.tracks)
    try:
        content = text.getvalue().encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: a track's path is not UTF-8, which a manifest is: rename the file") from error
    with written_beside(path) as handle:
        handle.write(content)


def csv_rows(path: Path, needed: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and stripped values of a CSV file's rows, blank lines left out.

    Parameters
    ----------
    path
        The file, in UTF-8 with a header line.
    needed
        The columns that must be there, each with the names by which others call it.

    Raises
    ------
    DataError
        Naming file and line.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(columns, path, needed)
        for values in reader:
            if len(values) > len(columns):
                raise DataError(f"{path} line {reader.line_num}: more values than the header has columns")
            if values:
                padded = [value.strip() for value in values] + [""] * (len(columns) - len(values))
                yield reader.line_num, dict(zip(columns, padded, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: {error}") from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise DataError(f"{printable(str(path))}: cannot read the CSV file ({reason})") from error
    if content.startswith(_UTF16):
        raise DataError(f"{path} line 1: the file is UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} line {line}: the file is not UTF-8, perhaps Latin-1 or Windows-1252; save it as UTF-8"
        ) from error


def _check_columns(columns: Sequence[str], path: Path, needed: Mapping[str, Sequence[str]]) -> None:
    """Refuse a header without the columns that are needed; says what was found and what to do."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path} line 1: column {twice[0]!r} is there twice")
    missing = [name for name in needed if name not in columns]
    if not missing:
        return
    found = ", ".join(printable(name) or "''" for name in columns) or "no header at all"
    separator = next((words for mark, words in _SEPARATORS.items() if len(columns) == 1 and mark in columns[0]), None)
    renames = [f"rename {name} to {wanted}" for wanted in missing for name in columns if name in needed[wanted]]
    if separator is not None:
        advice = f"its columns are separated by {separator}, save it with commas"
    else:
        advice = " and ".join(renames) or f"the first line names the columns: {','.join(needed)}"
    raise DataError(f"{path} line 1: missing column {', '.join(missing)}; found: {found}; {advice}")
