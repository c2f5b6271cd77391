"""Key pairs, and bundles that are signed: name and version into the manifest, ``signature.json`` beside it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from edgegenre_runtime.atomic_write import write_together, written_beside
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.extras import import_extra
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_files import MANIFEST
from edgegenre_runtime.signature import SIGNATURE, PrivateKey, Release, read_private_key, sign_manifest

__all__ = ["new_key_pair", "public_path", "read_keys", "sign_bundle"]


def public_path(key: Path) -> Path:
    """Return where the public half of a private key is put: ``release.key`` to ``release.pub``."""
    return key.with_suffix(".pub")


def new_key_pair(path: Path) -> str:
    """Write an Ed25519 private key for its owner alone, and the public one beside it; returns the key's identity.

    Raises
    ------
    UsageError
        If one of the files is there: a key is never replaced.
    DataError
        If they cannot be written.
    MissingExtraError
        If cryptography is not installed.
    """
    ed25519 = import_extra("cryptography.hazmat.primitives.asymmetric.ed25519", "sign")
    serialization = import_extra("cryptography.hazmat.primitives.serialization", "sign")
    public = public_path(path)
    if public == path:
        raise UsageError(f"{path} is a name for public keys: give the private one another, such as release.key")
    for file in (path, public):
        if os.path.lexists(file):
            raise UsageError(f"{file} is there, and a key is never replaced: choose another name")
    key = ed25519.Ed25519PrivateKey.generate()
    encoding, formats = serialization.Encoding.PEM, serialization
    secret = key.private_bytes(encoding, formats.PrivateFormat.PKCS8, formats.NoEncryption())
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as handle:
            handle.write(secret)
    except OSError as error:
        raise DataError(f"{path}: cannot write ({(error.strerror or str(error)).lower()})") from error
    with written_beside(public, 0o644) as handle:
        handle.write(key.public_key().public_bytes(encoding, formats.PublicFormat.SubjectPublicKeyInfo))
    return read_private_key(path).identity


def read_keys(paths: Sequence[Path]) -> tuple[PrivateKey, ...]:
    """Read private keys (:func:`edgegenre_runtime.signature.read_private_key`), each of which may be given once."""
    keys = tuple(read_private_key(path) for path in paths)
    if len({key.identity for key in keys}) < len(keys):
        raise UsageError("the same key was given twice: give each once")
    return keys


def sign_bundle(
    root: Path, keys: Sequence[PrivateKey], *, name: str | None = None, version: int | None = None
) -> Release:
    """Sign a bundle, whose every file is checked before; a signature that is there is replaced.

    Parameters
    ----------
    root
        Its folder.
    keys
        One or more; each signs.
    name, version
        Of the release. By default the name that it had, else the folder's without its suffix; and the time now, UTC,
        as the number YYYYMMDDhhmmss.

    Raises
    ------
    BundleError
        If it is no bundle, or was changed since the export.
    UsageError
        If it is a ``.zip``, or name or version are not allowed.
    DataError
        If it cannot be written; it is then as it was.
    """
    if os.path.isfile(root):
        raise UsageError(f"{root} is a file: sign the bundle's folder, and zip it afterwards")
    bundle = read_bundle(root)
    for file in bundle.manifest["files"]:
        bundle.read(file)
    known = bundle.release.name if bundle.release is not None else Path(os.path.realpath(root)).stem
    now = int(time.strftime("%Y%m%d%H%M%S", time.gmtime()))
    try:
        release = Release(known if name is None else name, now if version is None else version)
    except ValueError as error:
        raise UsageError(f"{error}: give --name and --version that are") from error
    manifest = {**bundle.manifest, "release": {"name": release.name, "version": release.version}}
    text = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    write_together({root / MANIFEST: text, root / SIGNATURE: sign_manifest(text, keys)})
    read_bundle(root)
    return release
