"""The bundle: everything that a device needs, as one directory or one ``.zip``. Writer above, reader below.

``manifest.json`` holds the format version, the front-end's spec hash, the number of labels, size and SHA-256 of
every other file, tool versions, a summary of each model, and metrics each with the command that produced it; where an
answer is not one label of several, ``task`` and ``thresholds`` (:mod:`.task`). What is long stands in files of its own
(``tensors.json``, ``calibration.json``). A file that the manifest does not list is not
part of the bundle and is never read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import BundleError, SpecError
from edgegenre_runtime.frontend import Tables

from .task import Task, task_from_dict

__all__ = ["FORMAT_VERSION", "Bundle", "check_destination", "read_bundle", "write_bundle"]

FORMAT_VERSION = 2

_MANIFEST, _LABELS, _FRONTEND = "manifest.json", "labels.txt", "frontend.json"
_MAX_MANIFEST_BYTES = 16 << 20
_MAX_FILE_BYTES = 512 << 20
_MAX_MEMBERS = 1000
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")


def write_bundle(
    out: Path,
    files: Mapping[str, bytes | Path],
    *,
    tables: Tables,
    labels: Sequence[str],
    about: Mapping[str, Any],
) -> Path:
    """Write a bundle directory: all of it, or nothing and what was there stays whole.

    Parameters
    ----------
    out
        The directory. A bundle that is there is replaced; anything else that is there is left alone.
    files
        Name inside the bundle (POSIX, relative) to content, without the three that are written here:
        ``frontend.json``, ``labels.txt`` and ``manifest.json``.
    tables
        The front-end whose windows the models take.
    labels
        Class names in the order of the outputs.
    about
        More top-level keys for the manifest, JSON-ready: ``tools``, ``metrics``, ``recipe``, …

    Returns
    -------
    Path
        The directory, absolute.

    Raises
    ------
    BundleError
        If ``out`` is not a bundle, cannot be written, or a name or label is not allowed.
    """
    out = check_destination(out)
    content = {**files, _FRONTEND: tables.to_json().encode(), _LABELS: _labels_text(labels).encode()}
    for name in content:
        _check_name(name)
    temporary = out
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".new", dir=out.parent))
        entries = {name: _write_file(temporary / name, content[name]) for name in sorted(content)}
        manifest = {
            **about,
            "format_version": FORMAT_VERSION,
            "spec_hash": tables.spec_hash,
            "labels": len(labels),
            "files": entries,
        }
        _write_file(temporary / _MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
        read_bundle(temporary)
        temporary.chmod(0o755)
        _swap_in(temporary, out)
    except OSError as error:
        raise BundleError(
            f"bundle {out} could not be written ({_reason(error)}); what was there is unchanged: "
            "free some space or choose another directory, then export again"
        ) from error
    finally:
        if temporary != out:
            shutil.rmtree(temporary, ignore_errors=True)
    return out


def check_destination(out: Path) -> Path:
    """Return ``out``, absolute and without symbolic links, if a bundle may be written there.

    Raises
    ------
    BundleError
        If it is a file or a directory with anything but a bundle in it, or its parent cannot be written.
    """
    try:
        out = Path(os.path.realpath(out))
        if out.exists() and not out.is_dir():
            raise BundleError(f"{out} is a file; a bundle is written as a directory: choose another name")
        if out.is_dir() and not (out / _MANIFEST).is_file() and any(out.iterdir()):
            raise BundleError(
                f"{out} has files in it and no {_MANIFEST}, so it is not a bundle: choose another directory"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(out.parent, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:
        raise BundleError(f"bundle directory {out} cannot be used ({_reason(error)}): choose another") from error
    if not writable:
        raise BundleError(f"{out.parent} is not writable, so no bundle can be put there: choose another directory")
    return out


def _labels_text(labels: Sequence[str]) -> str:
    refused = [label for label in labels if not label.strip() or label.splitlines() != [label]]
    if refused or not labels or len(set(labels)) != len(labels):
        raise BundleError(f"labels must be different, one line each and not empty, not {list(labels)}")
    return "".join(f"{label}\n" for label in labels)


def _check_name(name: str) -> None:
    if not _SAFE_NAME.fullmatch(name) or name == _MANIFEST:
        raise BundleError(
            f"file name {name!r} is not allowed in a bundle: names are relative, of letters, digits and _.+-"
        )


def _write_file(path: Path, content: bytes | Path) -> dict[str, Any]:
    data = content if isinstance(content, bytes) else content.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _swap_in(new: Path, out: Path) -> None:
    """Put ``new`` in the place of ``out`` by renaming; on any failure ``out`` is what it was."""
    old = new.with_suffix(".old")
    try:
        if out.exists():
            out.rename(old)
        new.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose manifest, labels and front-end have been checked; the other files are checked when read.

    Attributes
    ----------
    root
        The directory or ``.zip``.
    manifest
        Content of ``manifest.json``.
    labels
        Class names in the order of the outputs.
    tables
        The front-end.
    spec_hash
        Its hash, the same as in the manifest.
    task
        What the outputs mean.
    """

    root: Path
    manifest: Mapping[str, Any]
    labels: tuple[str, ...]
    tables: Tables
    spec_hash: str
    task: Task

    def read(self, name: str) -> bytes:
        """Return the content of a file of the bundle.

        Raises
        ------
        BundleError
            If the manifest does not list it, or it is not what the manifest says.
        """
        return _read_listed(self.root, self.manifest, name)


def read_bundle(root: Path) -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    root
        A bundle directory, or the same as one ``.zip`` (read in place; nothing is unpacked to disk).

    Raises
    ------
    BundleError
        If it is missing, damaged, of another version, or its parts do not belong together.
    """
    try:
        root.stat()
    except FileNotFoundError as error:
        raise BundleError(
            f"bundle {root} does not exist: make one with  edgegenre export --int8 --out {root}"
        ) from error
    except (OSError, ValueError) as error:
        raise BundleError(f"bundle {root} cannot be opened ({_reason(error)})") from error
    manifest = _parse_manifest(root, _fetch(root, _MANIFEST, _MAX_MANIFEST_BYTES))
    for name in manifest["files"]:
        _fetch(root, name, 0)
    try:
        tables = Tables.from_json(_read_listed(root, manifest, _FRONTEND))
    except SpecError as error:
        raise BundleError(f"bundle {root}: {_FRONTEND}: {error}") from error
    if tables.spec_hash != manifest["spec_hash"]:
        raise BundleError(
            f"bundle {root}: {_FRONTEND} is of spec {tables.spec_hash[:12]}, but the models are of spec "
            f"{manifest['spec_hash'][:12]} ({_MANIFEST}): export again"
        )
    try:
        labels = tuple(_read_listed(root, manifest, _LABELS).decode().splitlines())
    except UnicodeDecodeError as error:
        raise BundleError(f"bundle {root}: {_LABELS} is not UTF-8: export again") from error
    if len(labels) != manifest["labels"]:
        raise BundleError(
            f"bundle {root}: {_LABELS} has {len(labels)} labels, {_MANIFEST} says {manifest['labels']}: export again"
        )
    try:
        task = task_from_dict(manifest, labels)
    except ValueError as error:
        raise BundleError(f"bundle {root}: {_MANIFEST}: {error}: export again") from error
    return Bundle(root=root, manifest=manifest, labels=labels, tables=tables, spec_hash=tables.spec_hash, task=task)


def _parse_manifest(root: Path, text: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
        version = manifest["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(f"bundle {root}: {_MANIFEST} is damaged: copy or export the bundle again") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"bundle {root} is of format {version}; this edgegenre reads {FORMAT_VERSION}: "
            "export it again with this version, or update edgegenre"
        )
    files = manifest.get("files")
    is_complete = (
        isinstance(manifest.get("spec_hash"), str)
        and type(manifest.get("labels")) is int
        and isinstance(files, dict)
        and all(isinstance(e, dict) and isinstance(e.get("sha256"), str) for e in files.values())
        and all(type(e.get("bytes")) is int and e["bytes"] >= 0 for e in files.values())
    )
    if not is_complete:
        raise BundleError(f"bundle {root}: {_MANIFEST} lacks what it must hold: export the bundle again")
    for name in files:
        _check_name(name)
    return dict(manifest)


def _read_listed(root: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    entry = manifest["files"].get(name)
    if entry is None:
        there = ", ".join(sorted(manifest["files"]))
        raise BundleError(f"bundle {root} has no {name}; it has: {there}")
    data = _fetch(root, name, min(entry["bytes"], _MAX_FILE_BYTES) + 1)
    if len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BundleError(
            f"bundle {root}: {name} has changed since the export (its SHA-256 is not the one in {_MANIFEST}): "
            "copy the bundle again"
        )
    return data


def _fetch(root: Path, name: str, limit_bytes: int) -> bytes:
    """Return the first ``limit_bytes`` of a file, unchecked; raises BundleError if it is not there."""
    try:
        if root.is_dir():
            path = root / name
            try:
                is_file = stat.S_ISREG(path.stat().st_mode)
            except FileNotFoundError as error:
                raise KeyError(name) from error
            if not is_file:
                raise KeyError(name)
            with path.open("rb") as file:
                return file.read(limit_bytes)
        with zipfile.ZipFile(root) as archive:
            _check_members(root, archive)
            with archive.open(name) as member:
                return member.read(limit_bytes)
    except KeyError as error:
        raise BundleError(f"bundle {root}: {name} is missing: copy or export the bundle again") from error
    except BundleError:
        raise
    except OSError as error:
        raise BundleError(f"bundle {root}: {name} cannot be read ({_reason(error)})") from error
    except Exception as error:  # zipfile and the decompressors behind it raise a dozen kinds
        raise BundleError(
            f"bundle {root}: {name} cannot be read ({error}); a bundle is a directory or a .zip: copy it again"
        ) from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _check_members(root: Path, archive: zipfile.ZipFile) -> None:
    members = [info for info in archive.infolist() if not info.is_dir()]
    names = [info.filename for info in members]
    if len(names) > _MAX_MEMBERS or len(set(names)) != len(names):
        raise BundleError(f"bundle {root} has too many members or one of them twice: zip the directory again")
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.filename != _MANIFEST and not _SAFE_NAME.fullmatch(info.filename):
            raise BundleError(f"bundle {root}: member {info.filename!r} is not a plain relative path: refused")
        if kind not in (0, stat.S_IFREG) or info.file_size > _MAX_FILE_BYTES:
            raise BundleError(f"bundle {root}: member {info.filename!r} is a link or too large: refused")
