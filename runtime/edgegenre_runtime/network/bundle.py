"""The bundle: everything that a device needs, as one directory or one ``.zip``. Writer above, reader below.

``manifest.json`` holds the format version, the front-end's spec hash, the number of labels, size and SHA-256 of
every other file, tool versions, a summary of each model, and metrics each with the command that produced it; where an
answer is not one label of several, ``task`` and ``thresholds`` (:mod:`.task`). What is long stands in files of its own
(``tensors.json``, ``calibration.json``). A file that the manifest does not list is not
part of the bundle and is never read. A bundle that was signed has ``signature.json`` beside them
(:mod:`edgegenre_runtime.signature`), and ``release`` in its manifest.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import BundleError, SpecError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.sha256 import sha256
from edgegenre_runtime.signature import (
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
    PublicKey,
    Release,
    check_signature,
    release_of,
)

from .bundle_files import (
    FORMAT_VERSION,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    check_name,
    fetch_file,
    is_there,
    parse_manifest,
    read_listed,
    reason_of,
)
from .task import Task, task_from_dict

__all__ = ["FORMAT_VERSION", "Bundle", "check_destination", "read_bundle", "write_bundle"]

_LABELS, _FRONTEND = "labels.txt", "frontend.json"


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
        check_name(name)
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
        _write_file(temporary / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
        read_bundle(temporary)
        temporary.chmod(0o755)
        _swap_in(temporary, out)
    except OSError as error:
        raise BundleError(
            f"bundle {out} could not be written ({reason_of(error)}); what was there is unchanged: "
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
        if out.is_dir() and not (out / MANIFEST).is_file() and any(out.iterdir()):
            raise BundleError(
                f"{out} has files in it and no {MANIFEST}, so it is not a bundle: choose another directory"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(out.parent, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:
        raise BundleError(f"bundle directory {out} cannot be used ({reason_of(error)}): choose another") from error
    if not writable:
        raise BundleError(f"{out.parent} is not writable, so no bundle can be put there: choose another directory")
    return out


def _labels_text(labels: Sequence[str]) -> str:
    refused = [label for label in labels if not label.strip() or label.splitlines() != [label]]
    if refused or not labels or len(set(labels)) != len(labels):
        raise BundleError(f"labels must be different, one line each and not empty, not {list(labels)}")
    return "".join(f"{label}\n" for label in labels)


def _write_file(path: Path, content: bytes | Path) -> dict[str, Any]:
    data = content if isinstance(content, bytes) else content.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": sha256(data).hexdigest(), "bytes": len(data)}


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
    digest
        SHA-256 of ``manifest.json``, and so of the whole bundle.
    release
        Name and version of a bundle that was signed, None of one that never was.
    signed_by
        The trusted key that signed it, "" if it was not asked for.
    """

    root: Path
    manifest: Mapping[str, Any]
    labels: tuple[str, ...]
    tables: Tables
    spec_hash: str
    task: Task
    digest: str
    release: Release | None
    signed_by: str

    def read(self, name: str) -> bytes:
        """Return the content of a file of the bundle.

        Raises
        ------
        BundleError
            If the manifest does not list it, or it is not what the manifest says.
        """
        return read_listed(self.root, self.manifest, name)


def read_bundle(root: Path, trust: Sequence[PublicKey] = ()) -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    root
        A bundle directory, or the same as one ``.zip`` (read in place; nothing is unpacked to disk).
    trust
        Keys of which one must have signed it; then every file is checked here. None for any bundle.

    Raises
    ------
    BundleError
        If it is missing, damaged, of another version, its parts do not belong together, or it is not signed as asked.
    """
    try:
        root.stat()
    except FileNotFoundError as error:
        command = f"edgegenre export --int8 --out {shlex.quote(str(root))}"
        raise BundleError(f"bundle {root} does not exist: make one with  {command}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"bundle {root} cannot be opened ({reason_of(error)})") from error
    text = fetch_file(root, MANIFEST, MAX_MANIFEST_BYTES)
    signed_by = _signer(root, text, trust) if trust else ""
    manifest = parse_manifest(root, text)
    for name in manifest["files"]:
        if trust:
            read_listed(root, manifest, name)
        else:
            fetch_file(root, name, 0)
    try:
        tables = Tables.from_json(read_listed(root, manifest, _FRONTEND))
    except SpecError as error:
        raise BundleError(f"bundle {root}: {_FRONTEND}: {error}") from error
    if tables.spec_hash != manifest["spec_hash"]:
        raise BundleError(
            f"bundle {root}: {_FRONTEND} is of spec {tables.spec_hash[:12]}, but the models are of spec "
            f"{manifest['spec_hash'][:12]} ({MANIFEST}): export again"
        )
    try:
        labels = tuple(read_listed(root, manifest, _LABELS).decode().splitlines())
    except UnicodeDecodeError as error:
        raise BundleError(f"bundle {root}: {_LABELS} is not UTF-8: export again") from error
    if len(labels) != manifest["labels"]:
        raise BundleError(
            f"bundle {root}: {_LABELS} has {len(labels)} labels, {MANIFEST} says {manifest['labels']}: export again"
        )
    try:
        task, release = task_from_dict(manifest, labels), release_of(manifest)
    except ValueError as error:
        raise BundleError(f"bundle {root}: {MANIFEST}: {error}: export again") from error
    return Bundle(
        root=root,
        manifest=manifest,
        labels=labels,
        tables=tables,
        spec_hash=tables.spec_hash,
        task=task,
        digest=sha256(text).hexdigest(),
        release=release,
        signed_by=signed_by,
    )


def _signer(root: Path, manifest: bytes, trust: Sequence[PublicKey]) -> str:
    """Return the trusted key that signed a bundle; raises :class:`BundleError` where none did."""
    if not is_there(root, SIGNATURE):
        raise BundleError(
            f"bundle {root} is not signed, and --trust takes signed bundles alone: sign it with  edgegenre sign bundle"
        )
    try:
        return check_signature(manifest, fetch_file(root, SIGNATURE, MAX_SIGNATURE_BYTES), trust)
    except BundleError as error:
        raise BundleError(f"bundle {root}: {error}") from error
