"""Who released a bundle: ``signature.json``, Ed25519 (RFC 8032) over ``manifest.json``. Writer above, reader below.

The manifest holds the hash of every other file, and in ``release`` the bundle's name and version, so that one signature
covers everything. Several keys may sign one manifest; the signature of one trusted key is enough. A key is known by the
first 16 hex digits of the SHA-256 of its 32 bytes::

    {"format_version": 1, "signatures": [{"key": "3f0c…", "ed25519": "base64 of 64 bytes"}]}
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import BundleError, UsageError
from .extras import import_extra
from .file_formats import parse_json
from .sha256 import sha256

__all__ = [
    "MAX_SIGNATURE_BYTES",
    "SIGNATURE",
    "PrivateKey",
    "PublicKey",
    "Release",
    "check_signature",
    "read_private_key",
    "read_public_keys",
    "release_of",
    "sign_manifest",
]

SIGNATURE = "signature.json"
MAX_SIGNATURE_BYTES = 64 << 10
_VERSION = 1
_CONTEXT = b"edgegenre bundle manifest 1\n"  # a signature for another purpose by the same key is not one of a bundle
_MAX_KEY_BYTES = 64 << 10
_PASSWORD_VARIABLE = "EDGEGENRE_KEY_PASSWORD"  # noqa: S105  # a name
_IDENTITY, _MAX_SIGNATURES = re.compile(r"[0-9a-f]{16}"), 16
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_MAX_VERSION = 2**53 - 1  # what every reader of JSON keeps exactly


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """What a signed bundle says it is.

    Attributes
    ----------
    name
        Its name, 1 to 64 letters, digits and ``_.+-``: an update never replaces a bundle of another name.
    version
        1 to 2**53 - 1; an update never goes back to a lower one.
    """

    name: str
    version: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"a release's name is 1 to 64 letters, digits and _.+-, not {self.name!r}")
        if type(self.version) is not int or not 1 <= self.version <= _MAX_VERSION:
            raise ValueError(f"a release's version is a whole number from 1 to {_MAX_VERSION}, not {self.version!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs; ``identity`` is that of its public half."""

    identity: str
    key: Any


@dataclasses.dataclass(frozen=True, slots=True)
class PublicKey:
    """A key whose signatures are trusted."""

    identity: str
    key: Any


def read_private_key(path: Path) -> PrivateKey:
    """Read an Ed25519 private key, PEM (PKCS #8); the password of an encrypted one is in $EDGEGENRE_KEY_PASSWORD.

    Raises
    ------
    UsageError
        If the file cannot be read, holds something else, or the password is missing or wrong.
    MissingExtraError
        If cryptography is not installed.
    """
    serialization = import_extra("cryptography.hazmat.primitives.serialization", "sign")
    password = os.environ.get(_PASSWORD_VARIABLE, "")
    content = _read_key_file(path)
    try:
        key = serialization.load_pem_private_key(content, password.encode() or None)
    except TypeError as error:  # a password where none is needed, or none where one is
        if password:
            return _private(serialization.load_pem_private_key(content, None), path)
        raise UsageError(f"key {path} is encrypted: put its password into ${_PASSWORD_VARIABLE}") from error
    except Exception as error:  # ValueError and UnsupportedAlgorithm
        raise UsageError(
            f"key {path} cannot be read: it must be an Ed25519 private key in PEM, with the right "
            f"${_PASSWORD_VARIABLE} if it is encrypted; make one with  edgegenre sign new-key {shlex.quote(str(path))}"
        ) from error
    return _private(key, path)


def sign_manifest(manifest: bytes, keys: Iterable[PrivateKey]) -> bytes:
    """Return the content of ``signature.json`` for a manifest."""
    signatures = [
        {"key": key.identity, "ed25519": base64.b64encode(key.key.sign(_CONTEXT + manifest)).decode()} for key in keys
    ]
    return (json.dumps({"format_version": _VERSION, "signatures": signatures}, indent=1) + "\n").encode()


def read_public_keys(paths: Sequence[Path]) -> tuple[PublicKey, ...]:
    """Read Ed25519 public keys, PEM (SubjectPublicKeyInfo).

    Raises
    ------
    UsageError
        If a file cannot be read or holds something else.
    MissingExtraError
        If there are any and cryptography is not installed.
    """
    return tuple(_read_public_key(path) for path in paths)


def check_signature(manifest: bytes, content: bytes, keys: Sequence[PublicKey]) -> str:
    """Return the identity of the trusted key that signed a manifest.

    Parameters
    ----------
    manifest
        Content of ``manifest.json``, nothing of which has been used yet.
    content
        Content of ``signature.json``.
    keys
        The trusted ones.

    Raises
    ------
    BundleError
        If none of them signed it, or the manifest was changed afterwards.
    """
    found = _signatures(content)
    signers = [key for key in keys if key.identity in found]
    if not signers:
        raise BundleError(
            f"it is signed with {', '.join(sorted(found)) or 'no key'}, and trusted are "
            f"{', '.join(key.identity for key in keys)}: give --trust the right key, or do not use this bundle"
        )
    for key in signers:
        try:
            key.key.verify(found[key.identity], _CONTEXT + manifest)
        except Exception:  # noqa: S112  # InvalidSignature, or a length that is none
            continue
        return key.identity
    raise BundleError("its manifest was changed after it was signed: do not use this bundle; fetch it again")


def release_of(manifest: Mapping[str, Any]) -> Release | None:
    """Return what a manifest says of the release, None for a bundle that was never signed; ValueError if damaged."""
    entry = manifest.get("release")
    if entry is None:
        return None
    try:
        return Release(entry["name"], entry["version"])
    except (KeyError, TypeError) as error:
        raise ValueError("release has no name and version") from error


def _signatures(content: bytes) -> dict[str, bytes]:
    """Return the signatures by the identity of their keys; raises :class:`BundleError` if it is no such file."""
    try:
        record = parse_json(content)
        if record["format_version"] != _VERSION:
            raise ValueError("of another version")
        entries = {entry["key"]: entry["ed25519"] for entry in record["signatures"]}
        if len(entries) > _MAX_SIGNATURES or not all(_IDENTITY.fullmatch(key) for key in entries):
            raise ValueError("keys that are none")  # they stand in messages
        return {key: base64.b64decode(signature, validate=True) for key, signature in entries.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{SIGNATURE} is damaged or of another version: fetch the bundle again") from error


def _read_public_key(path: Path) -> PublicKey:
    serialization = import_extra("cryptography.hazmat.primitives.serialization", "sign")
    content = _read_key_file(path)
    if b"PRIVATE KEY" in content:
        raise UsageError(f"key {path} is a private key, which belongs on no device: give the .pub beside it")
    try:
        key = serialization.load_pem_public_key(content)
        identity = _identity(key)
    except Exception as error:  # ValueError, UnsupportedAlgorithm, or of another kind
        raise UsageError(f"key {path} cannot be read: it must be an Ed25519 public key in PEM") from error
    return PublicKey(identity, key)


def _private(key: Any, path: Path) -> PrivateKey:
    try:
        return PrivateKey(_identity(key.public_key()), key)
    except (TypeError, ValueError) as error:
        raise UsageError(f"key {path} is not an Ed25519 key: make one with  edgegenre sign new-key") from error


def _identity(key: Any) -> str:
    """Return what an Ed25519 public key is known by; raises TypeError or ValueError for one of another kind."""
    ed25519 = import_extra("cryptography.hazmat.primitives.asymmetric.ed25519", "sign")
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TypeError("not an Ed25519 key")
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def _read_key_file(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"key {path} cannot be read ({(getattr(error, 'strerror', None) or str(error)).lower()})"
        ) from error
