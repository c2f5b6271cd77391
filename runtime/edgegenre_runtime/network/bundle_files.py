"""The files of a bundle, from a directory or a ``.zip``: bounded, named safely, and each what the manifest says."""

from __future__ import annotations

import json
import re
import shlex
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.sha256 import sha256
from edgegenre_runtime.signature import SIGNATURE

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "MAX_MANIFEST_BYTES",
    "check_name",
    "fetch_file",
    "is_there",
    "parse_manifest",
    "read_listed",
    "reason_of",
]

FORMAT_VERSION = 2
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20
_MAX_FILE_BYTES = 512 << 20
_MAX_MEMBERS = 1000
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")


def check_name(name: str) -> None:
    """Raise :class:`BundleError` for a name that a listed file may not have."""
    if not _SAFE_NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE):
        raise BundleError(
            f"file name {name!r} is not allowed in a bundle: names are relative, of letters, digits and _.+-"
        )


def parse_manifest(root: Path, text: bytes) -> dict[str, Any]:
    """Return a manifest that holds what it must; raises :class:`BundleError` for one that does not."""
    try:
        manifest = json.loads(text)
        version = manifest["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(f"bundle {root}: {MANIFEST} is damaged: copy or export the bundle again") from error
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
        raise BundleError(f"bundle {root}: {MANIFEST} lacks what it must hold: export the bundle again")
    for name in files:
        check_name(name)
    return dict(manifest)


def read_listed(root: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """Return a file of a bundle; raises :class:`BundleError` unless it is what the manifest says."""
    entry = manifest["files"].get(name)
    if entry is None:
        there = ", ".join(sorted(manifest["files"]))
        raise BundleError(f"bundle {root} has no {name}; it has: {there}")
    data = fetch_file(root, name, min(entry["bytes"], _MAX_FILE_BYTES) + 1)
    if len(data) != entry["bytes"] or sha256(data).hexdigest() != entry["sha256"]:
        raise BundleError(
            f"bundle {root}: {name} has changed since the export (its SHA-256 is not the one in {MANIFEST}): "
            "copy the bundle again"
        )
    return data


def fetch_file(root: Path, name: str, limit_bytes: int) -> bytes:
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
        if name == MANIFEST and (root / "best.safetensors").is_file():
            command = f"edgegenre export {shlex.quote(str(root))} --int8 --out mine.bundle"
            raise BundleError(f"{root} is a training run, not a bundle: make one of it with  {command}") from error
        raise BundleError(f"bundle {root}: {name} is missing: copy or export the bundle again") from error
    except BundleError:
        raise
    except OSError as error:
        raise BundleError(f"bundle {root}: {name} cannot be read ({reason_of(error)})") from error
    except Exception as error:  # zipfile and the decompressors behind it raise a dozen kinds
        raise BundleError(
            f"bundle {root}: {name} cannot be read ({error}); a bundle is a directory or a .zip: copy it again"
        ) from error


def is_there(root: Path, name: str) -> bool:
    """Return whether a bundle has a file of this name that can be opened."""
    try:
        fetch_file(root, name, 0)
    except BundleError:
        return False
    return True


def reason_of(error: Exception) -> str:
    """Return why a call failed, for the middle of a sentence."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def _check_members(root: Path, archive: zipfile.ZipFile) -> None:
    members = [info for info in archive.infolist() if not info.is_dir()]
    names = [info.filename for info in members]
    if len(names) > _MAX_MEMBERS or len(set(names)) != len(names):
        raise BundleError(f"bundle {root} has too many members or one of them twice: zip the directory again")
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.filename != MANIFEST and not _SAFE_NAME.fullmatch(info.filename):
            raise BundleError(f"bundle {root}: member {info.filename!r} is not a plain relative path: refused")
        if kind not in (0, stat.S_IFREG) or info.file_size > _MAX_FILE_BYTES:
            raise BundleError(f"bundle {root}: member {info.filename!r} is a link or too large: refused")
