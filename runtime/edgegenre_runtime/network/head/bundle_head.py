"""A bundle's head: ``head.json`` says what it is, ``head.npz`` holds its weights. Writer above, reader below.

``head.json`` lists the state's tensors as well, in the order in which ``head.tflite`` and ``head.onnx`` take them
behind ``embedding`` and give them, as ``next_NAME``, behind ``logits``.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.file_formats import parse_json, read_npz
from edgegenre_runtime.network.bundle import Bundle
from edgegenre_runtime.sha256 import sha256

from .config import HeadConfig
from .steps import Head

__all__ = ["HEAD", "HEAD_WEIGHTS", "BundleHead", "pack_head", "read_head"]

HEAD, HEAD_WEIGHTS = "head.json", "head.npz"
_FORMAT_VERSION = 1
_ANSWERING = ("frontend.json", "labels.txt", HEAD, HEAD_WEIGHTS, "model_int8.tflite", "model_int8.onnx")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class BundleHead:
    """A head as a bundle has it.

    Attributes
    ----------
    head
        Ready to run.
    hop_frames
        Frames from one window to the next that it was trained on.
    bundle_id
        SHA-256 over the files that determine the answers; a state carries it.
    """

    head: Head
    hop_frames: int
    bundle_id: str


def pack_head(
    config: HeadConfig, weights: Mapping[str, npt.NDArray[np.float32]], hop_frames: int, about: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the content of ``head.json`` and ``head.npz``; ``about`` are more, JSON-ready, keys of the former."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{name: weights[name] for name in sorted(weights)})
    described = {
        **about,
        "format_version": _FORMAT_VERSION,
        "config": config.to_dict(),
        "hop_frames": hop_frames,
        "state": [{"name": name, **dataclasses.asdict(part)} for name, part in config.state.items()],
    }
    return {HEAD: (json.dumps(described, indent=1, sort_keys=True) + "\n").encode(), HEAD_WEIGHTS: file.getvalue()}


def read_head(bundle: Bundle) -> BundleHead | None:
    """Return the bundle's head; None if it has none.

    Raises
    ------
    BundleError
        If it is damaged, of another version, or for other classes than the bundle's.
    """
    files = bundle.manifest["files"]
    if HEAD not in files:
        return None
    try:
        described = parse_json(bundle.read(HEAD))
        if described["format_version"] != _FORMAT_VERSION:
            raise BundleError(f"is of another format than {_FORMAT_VERSION}, which this edgegenre reads")
        config, hop_frames = HeadConfig.from_dict(described["config"]), described["hop_frames"]
        if type(hop_frames) is not int or hop_frames < 1 or config.n_classes != len(bundle.labels):
            raise BundleError(f"has {config.n_classes} classes for {len(bundle.labels)} labels, or a wrong hop")
        head = Head(config, read_npz(io.BytesIO(bundle.read(HEAD_WEIGHTS))))
    except (BundleError, KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(f"bundle {bundle.root}: its head ({HEAD}) cannot be used: {error}") from error
    digests = [f"{name} {files[name]['sha256']}" for name in _ANSWERING if name in files]
    return BundleHead(head, hop_frames, sha256("\n".join(digests).encode()).hexdigest())
