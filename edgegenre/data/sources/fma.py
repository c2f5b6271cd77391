"""The Free Music Archive set (Defferrard et al. 2017): its metadata table and its folders of MP3 files.

``tracks.csv`` has three header rows, group, column and ``track_id``; audio of track 2 is ``000/000002.mp3``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from edgegenre_runtime.errors import DataError

from ..dataset import Dataset, Track, make_dataset

__all__ = ["read_fma"]

_SPLITS = {"training": "train", "validation": "valid", "test": "test"}
_COLUMNS = (("set", "split"), ("track", "genre_top"), ("artist", "name"))


def read_fma(tracks_csv: Path | str, audio_folder: Path | str) -> Dataset:
    """Read the tracks that have a top genre and whose file is in the folder (of any subset: small, large …).

    Parameters
    ----------
    tracks_csv
        ``fma_metadata/tracks.csv``.
    audio_folder
        Such as ``fma_small``.

    Returns
    -------
    Dataset
        Label: the top genre; group: the artist's name; split: the official one, which separates artists.

    Raises
    ------
    DataError
        Not this table, a damaged line (named), no folder, no track, or tracks of one genre only.
    """
    tracks_csv, audio_folder = Path(tracks_csv), Path(audio_folder)
    if not os.path.isdir(audio_folder):
        raise DataError(f"{audio_folder}: is not a folder; give the one that holds 000, 001 …")
    tracks = []
    for line, track_id, part, genre, artist in _rows(tracks_csv):
        if not track_id.isdecimal() or len(track_id) > 9 or part not in _SPLITS:
            raise DataError(f"{tracks_csv} line {line}: track {track_id[:20]!r} in {part[:20]!r} is not FMA's")
        name = f"{int(track_id):06d}"
        path = audio_folder / name[:3] / f"{name}.mp3"
        if genre and os.path.isfile(path):
            tracks.append(Track(path.relative_to(audio_folder).as_posix(), path, genre, artist or name, _SPLITS[part]))
    genres = {track.label for track in tracks}
    if len(genres) < 2:
        raise DataError(
            f"{audio_folder}: {len(tracks)} files of {len(genres)} genres that {tracks_csv.name} knows; two genres "
            "are needed, in files such as 000/000002.mp3"
        )
    return make_dataset(tracks, tracks_csv)


def _rows(path: Path) -> Iterator[tuple[int, str, str, str, str]]:
    """Yield line number, track id, split, top genre and artist of each row."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            heads = [next(reader, []) for _ in range(3)]
            columns = list(zip(heads[0], heads[1], strict=False))
            missing = [f"{group}/{name}" for group, name in _COLUMNS if (group, name) not in columns]
            if missing or heads[2][:1] != ["track_id"]:
                raise DataError(f"{path}: not FMA's tracks.csv, it lacks {', '.join(missing) or 'track_id'}")
            at = [columns.index(column) for column in _COLUMNS]
            for row in reader:
                if len(row) != len(heads[0]):
                    raise DataError(f"{path} line {reader.line_num}: {len(row)} values, not {len(heads[0])}")
                part, genre, artist = (row[i].strip() for i in at)
                yield reader.line_num, row[0].strip(), part, genre, artist
    except OSError as error:
        raise DataError(f"{path}: cannot read the table ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the table is not UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: {error}") from error
