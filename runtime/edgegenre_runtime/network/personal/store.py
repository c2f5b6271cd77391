"""The file of a personal head: JSON with a hash of its own and that of the embedding it was learned with.

It stands beside the bundle, as ``NAME.personal.json``; of a bundle inside the package, or in a folder that cannot be
written, in the user's data folder (``$XDG_DATA_HOME``, else ``~/.local/share``) under ``edgegenre/personal``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.audio.sound_gate import NOT_GENRES
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.sha256 import sha256

from ..bundle import Bundle
from ..bundle_names import default_bundle, user_folder
from .class_statistics import STATISTICS, read_statistics
from .head import PersonalClass, PersonalHead

__all__ = ["beside", "check_name", "embedding_id", "owner_of", "personal_path", "read_personal", "write_classes"]

_VERSION = 1
_MAX_BYTES = 4 << 20
_MAX_CLASSES, _MAX_NAME = 64, 60
_NETWORK = "model_int8.tflite"


def embedding_id(bundle: Bundle) -> str:
    """Return what a personal head is bound to: a hash of the network and of the statistics of its classes."""
    files = bundle.manifest["files"]
    listed = [files.get(name, {}).get("sha256", "") for name in (_NETWORK, STATISTICS)]
    return sha256(" ".join(listed).encode()).hexdigest()


def beside(root: Path) -> Path:
    """Return the file of a personal head beside a bundle."""
    root = Path(os.path.realpath(root))
    return root.with_name(root.name + ".personal.json")


def owner_of(path: Path) -> str | None:
    """Return the :func:`embedding_id` that a personal head was learned with; None if there is no such file.

    One that is damaged is nobody's: "".
    """
    try:
        with path.open("rb") as file:
            return str(parse_json(file.read(_MAX_BYTES))["embedding_id"])
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError):
        return ""


def personal_path(bundle: Bundle) -> Path:
    """Return the file of a bundle's personal head: where one is, else where one can be written."""
    root, local = Path(os.path.realpath(bundle.root)), beside(bundle.root)
    user = user_folder().parent / "personal" / f"{embedding_id(bundle)[:16]}.json"
    if root.parent == Path(os.path.realpath(default_bundle())).parent:
        return user
    if os.path.exists(local) or (os.access(local.parent, os.W_OK | os.X_OK) and not os.path.exists(user)):
        return local
    return user


def check_name(name: str, taken: Sequence[str]) -> None:
    """Refuse a name for a learned class; raises :class:`UsageError`."""
    is_plain = name == name.strip() and name.isprintable() and not set(name) & set(";/")
    if not is_plain or not 1 <= len(name) <= _MAX_NAME:
        raise UsageError(f"{name!r} cannot be a genre's name: 1 to {_MAX_NAME} printable characters without ; and /")
    if name.casefold() in {known.casefold() for known in (*taken, *NOT_GENRES)}:
        raise UsageError(f"{name} is a class already: choose another name, or --forget it first if it was learned")


def read_personal(bundle: Bundle) -> PersonalHead | None:
    """Read the personal head of a bundle; None if nothing was learned.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, or was learned with another embedding.
    BundleError
        If the bundle's statistics are damaged.
    """
    path = personal_path(bundle)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot read the learned genres ({(error.strerror or str(error)).lower()})") from error
    try:
        record = parse_json(content[:_MAX_BYTES])
        if record["format_version"] != _VERSION or record["sha256"] != _digest(record):
            raise ValueError("its hash is another")
        owner = str(record["embedding_id"])
        classes = tuple(_class_of(entry) for entry in record["classes"])
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise DataError(
            f"{path}: the learned genres are damaged or of another version: delete the file and learn again, or run "
            "with --no-personal"
        ) from error
    if owner != embedding_id(bundle):
        raise DataError(
            f"{path}: learned with another network ({owner[:12]}, this bundle's is {embedding_id(bundle)[:12]}): "
            "delete it and learn again, or run with --no-personal"
        )
    statistics = read_statistics(bundle)
    if any(known.mean.shape != (statistics.axes.shape[1],) for known in classes):
        raise DataError(f"{path}: the learned genres do not fit this bundle: delete the file and learn again")
    return PersonalHead(statistics, classes) if classes else None


def write_classes(bundle: Bundle, classes: Sequence[PersonalClass]) -> Path:
    """Write the learned classes of a bundle, or delete their file if none is left; returns its path.

    Raises
    ------
    DataError
        If it cannot be written; the file that was there is unchanged.
    UsageError
        If there are too many.
    """
    path = personal_path(bundle)
    if len(classes) > _MAX_CLASSES:
        raise UsageError(f"{len(classes)} learned genres; at most {_MAX_CLASSES} are kept: --forget some")
    try:
        if not classes:
            path.unlink(missing_ok=True)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot write ({(error.strerror or str(error)).lower()})") from error
    record: dict[str, Any] = {
        "format_version": _VERSION,
        "embedding_id": embedding_id(bundle),
        "classes": [
            {
                "name": known.name,
                "n_tracks": known.n_tracks,
                "n_windows": known.n_windows,
                "learned_at": known.learned_at,
                "mean": known.mean.tolist(),
            }
            for known in classes
        ],
    }
    record["sha256"] = _digest(record)
    with written_beside(path) as file:
        file.write((json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return path


def _class_of(entry: Mapping[str, Any]) -> PersonalClass:
    mean = np.array(entry["mean"], np.float32)
    check_name(entry["name"], ())
    if mean.ndim != 1 or not np.isfinite(mean).all():
        raise ValueError("a mean is not a vector of numbers")
    return PersonalClass(entry["name"], mean, int(entry["n_tracks"]), int(entry["n_windows"]), str(entry["learned_at"]))


def _digest(record: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in record.items() if key != "sha256"}
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
