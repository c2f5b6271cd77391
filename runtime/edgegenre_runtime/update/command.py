"""One update: fetched beside the bundle, checked, tried on this device, and only then put into its place."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.network.bundle import Bundle, read_bundle
from edgegenre_runtime.network.bundle_files import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    fetch_file,
    parse_manifest,
    reason_of,
)
from edgegenre_runtime.network.bundle_names import previous_of
from edgegenre_runtime.network.personal.store import beside, embedding_id, owner_of
from edgegenre_runtime.signature import (
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
    PublicKey,
    Release,
    check_signature,
    read_public_keys,
    release_of,
)

from .slot import find_slot, locked, swap_in
from .sources import MAX_BUNDLE_BYTES, Reader, check_source, open_source
from .trial import try_bundle

__all__ = ["update"]

_SPARE_BYTES = 4 << 20


def update(given: Path | str, source: str, trust: Sequence[Path], ca_file: str | None = None) -> Iterator[str]:
    """Replace a bundle by a newer release of the same name; yields what was done, one line.

    Parameters
    ----------
    given
        The bundle's folder or name; it is made if it is not there.
    source
        https URL of a bundle's folder or ``.zip``, or a folder or ``.zip`` of a file share.
    trust
        Files of the public keys of which one must have signed it.
    ca_file
        Certificates of the authorities to trust for https, PEM; the system's by default.

    Raises
    ------
    UsageError
        If the options are wrong.
    BundleError
        If it cannot be fetched, is not signed, is older, or does not work here. The bundle is then what it was.
    """
    keys = read_public_keys(trust)
    check_source(source, ca_file)
    slot = find_slot(given)
    with locked(slot) as work, open_source(source, ca_file, work) as read:
        manifest, release, signer = _signed_manifest(read, keys, source)
        known = [found for found in (_release_at(slot, keys), _release_at(previous_of(slot), keys)) if found]
        _check_name(release, known, slot)
        newest = max((found.version for found in known), default=0)
        installed = _whole(slot, keys)
        if installed is not None and release.version == newest == _version(installed):
            yield f"{slot}: {release.name}, version {release.version}, is the newest: nothing was changed"
            return
        if release.version < newest:
            raise BundleError(
                f"{source} has version {release.version} of {release.name}, and version {newest} was here already: an "
                "older one is never installed; to go back, sign the older network with a new version"
            )
        new = work / "bundle"
        _write_files(new, manifest, read, _reusable(slot))
        staged = read_bundle(new, keys)
        try_bundle(new, trust)
        learned_with = owner_of(beside(slot))
        keeps_learned = learned_with in (None, embedding_id(staged))
        swap_in(new, slot, work, keeps_learned=keeps_learned)
    yield f"{slot}: now {release.name}, version {release.version}, signed by {signer}"
    if not keeps_learned:
        yield f"{slot}: learned genres belong to the network before and stay with {previous_of(slot)}: learn them again"


def _signed_manifest(
    read: Reader, keys: Sequence[PublicKey], source: str
) -> tuple[tuple[dict[str, Any], bytes, bytes], Release, str]:
    """Return manifest, its bytes and the signature's, what they release, and the key; nothing is used unchecked."""
    text = read(MANIFEST, MAX_MANIFEST_BYTES)
    signature = read(SIGNATURE, MAX_SIGNATURE_BYTES)
    try:
        signer = check_signature(text, signature, keys)
    except BundleError as error:
        raise BundleError(f"{source}: {error}") from error
    manifest = parse_manifest(Path(source), text)
    try:
        release = release_of(manifest)
    except ValueError as error:
        raise BundleError(f"{source}: {MANIFEST}: {error}: sign it again") from error
    if release is None:
        raise BundleError(f"{source}: {MANIFEST} names no release: sign it with  edgegenre sign bundle")
    return (manifest, text, signature), release, signer


def _release_at(root: Path, keys: Sequence[PublicKey]) -> Release | None:
    """Return what a trusted key released in a folder, even if its files are damaged; None if there is no such."""
    try:
        text = fetch_file(root, MANIFEST, MAX_MANIFEST_BYTES)
        check_signature(text, fetch_file(root, SIGNATURE, MAX_SIGNATURE_BYTES), keys)
        return release_of(parse_manifest(root, text))
    except (BundleError, ValueError):
        return None


def _check_name(release: Release, known: Sequence[Release], slot: Path) -> None:
    for found in known:
        if found.name != release.name:
            raise BundleError(f"{slot} is a release of {found.name}, not of {release.name}: give another --bundle")


def _whole(slot: Path, keys: Sequence[PublicKey]) -> Bundle | None:
    """Return the bundle in a place, None if there is none that is whole and signed."""
    try:
        return read_bundle(slot, keys)
    except BundleError:
        return None


def _version(bundle: Bundle) -> int:
    return bundle.release.version if bundle.release is not None else 0


def _reusable(slot: Path) -> dict[str, Path]:
    """Return the files of the bundle that is there, by the hash that its manifest says; they are checked when used."""
    try:
        files = parse_manifest(slot, fetch_file(slot, MANIFEST, MAX_MANIFEST_BYTES))["files"]
    except BundleError:
        return {}
    return {entry["sha256"]: slot / name for name, entry in files.items()}


def _write_files(
    folder: Path, manifest: tuple[dict[str, Any], bytes, bytes], read: Reader, known: dict[str, Path]
) -> None:
    """Write a bundle's files, each checked before; those that are on the device already are not fetched."""
    parsed, text, signature = manifest
    total = sum(entry["bytes"] for entry in parsed["files"].values())
    try:
        free = shutil.disk_usage(folder.parent).free
        if total > min(MAX_BUNDLE_BYTES, free - _SPARE_BYTES):
            raise BundleError(
                f"the new bundle has {total / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free ({MAX_BUNDLE_BYTES >> 20} "
                "MiB are allowed): nothing was changed"
            )
        for name, entry in parsed["files"].items():
            _write(folder / name, _content(name, entry, read, known))
        _write(folder / MANIFEST, text)
        _write(folder / SIGNATURE, signature)
    except OSError as error:
        raise BundleError(
            f"the new bundle cannot be written ({reason_of(error)}): nothing was changed; free some space"
        ) from error


def _content(name: str, entry: dict[str, Any], read: Reader, known: dict[str, Path]) -> bytes:
    """Return a file that is what the manifest says, from the device or else from the source."""
    same = known.get(entry["sha256"])
    sources: list[Reader] = [] if same is None else [lambda _, limit: fetch_file(same.parent, same.name, limit)]
    for source in (*sources, read):
        try:
            content = source(name, entry["bytes"] + 1)
        except BundleError:
            if source is read:
                raise
            continue
        if len(content) == entry["bytes"] and hashlib.sha256(content).hexdigest() == entry["sha256"]:
            return content
    raise BundleError(f"{name} is not what the signed manifest says: nothing was changed; try again later")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
