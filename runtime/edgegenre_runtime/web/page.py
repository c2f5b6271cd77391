"""The page's files, which ship with the package, and what a bundle adds to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgegenre_runtime.audio.music_detector import MusicDetector
from edgegenre_runtime.audio.sound_gate import uncertain_below
from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend.c_tables import table_blob
from edgegenre_runtime.network.answer_gate import read_detector
from edgegenre_runtime.network.blob_header import read_header
from edgegenre_runtime.network.bundle import Bundle
from edgegenre_runtime.network.task import Task

from .single_file import single_file

__all__ = ["DEVICE_FILES", "FACTS_FORMAT", "page_facts", "page_file", "web_folder"]

FACTS_FORMAT = 1
"""Version of ``bundle.json``, which the page checks."""

_PAGE = Path(__file__).parent / "page"
_SERVICE_WORKER, _SINGLE = "sw.js", "single.js"
_ENGINE = "net.eg"
_SHAPE = {"index.html", "style.css", "icon.svg"}
_SCRIPTS = {
    "analysis.js", "app.js", "audio_file.js", "capture.js", "device.js", "engine.js", "frames.js", "listener.js",
    "microphone.js", "resources.js", "spectrogram.js", "task.js", "view.js", "wav.js", "worker.js",
}  # fmt: skip
_LOOKS = {"icon-192.png", "icon-512.png", "manifest.webmanifest"}
_MODULES = {"edgegenre.wasm", "edgegenre_plain.wasm"}

DEVICE_FILES = tuple(sorted(_SHAPE | _LOOKS | _SCRIPTS - {"capture.js", "worker.js", "listener.js"}))
"""What a device serves that shows its own answers: nothing that computes."""


def page_file(name: str) -> bytes:
    """Return a file of the page as it ships."""
    return (_PAGE / name).read_bytes()


def page_facts(labels: tuple[str, ...], **more: Any) -> bytes:
    """Return ``bundle.json``: what the page knows of a bundle, or of the device that serves it."""
    return (json.dumps({"format": FACTS_FORMAT, "labels": labels, **more}, ensure_ascii=False) + "\n").encode()


def web_folder(bundle: Bundle) -> dict[str, bytes]:
    """Return the folder of a bundle's page, file name to content: for any static host, and ``single.html``.

    Raises
    ------
    BundleError
        If the bundle has no ``net.eg``, or it is damaged or does not take the front-end's windows.
    """
    if _ENGINE not in bundle.manifest["files"]:
        raise BundleError(
            f"bundle {bundle.root} has no {_ENGINE}, which the page runs: export it with a recipe that makes an int8 "
            "network of the engine's operators"
        )
    net, spec = bundle.read(_ENGINE), bundle.tables.spec
    header = read_header(net)
    if header.input_shape != (spec.n_mels, spec.frames_per_window, 1) or header.output_shape[1] != len(bundle.labels):
        raise BundleError(f"bundle {bundle.root}: {_ENGINE} is not of its front-end and labels: export it again")
    detector, steady = read_detector(bundle), MusicDetector.of(None)
    about: dict[str, Any] = {
        "task": _task_facts(bundle.task),
        "uncertain_below": uncertain_below(bundle.manifest),
        "top_db": spec.top_db,
        "spec": spec.name,
        "music_detector": {"bias": detector.bias, "rows": detector.rows()},
        "noise_detector": {"bias": steady.bias, "rows": steady.rows()},
    }
    files = {name: page_file(name) for name in sorted(_SHAPE | _LOOKS | _SCRIPTS | _MODULES)}
    files |= {"mel.blob": table_blob(bundle.tables), _ENGINE: net, "bundle.json": page_facts(bundle.labels, **about)}
    files[_SERVICE_WORKER] = _service_worker(files)
    return files | {"single.html": single_file(files | {_SINGLE: page_file(_SINGLE)})}


def _task_facts(task: Task) -> dict[str, Any]:
    """Return a task as the page's ``task.js`` takes it."""
    about: dict[str, Any] = {"kind": task.kind, "names": task.names, "thresholds": list(task.thresholds.values())}
    if task.taxonomy is not None:
        tree = task.taxonomy
        nodes = zip(tree.is_below, (tree.children[node] for node in tree.nodes), strict=True)
        about["nodes"] = [{"leaves": np.flatnonzero(row).tolist(), "children": below} for row, below in nodes]
        about["top"] = tree.children[""]
    return about


def _service_worker(files: Mapping[str, bytes]) -> bytes:
    """Return ``sw.js`` with the list of files and their common hash, by which an update is recognized."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    text = page_file(_SERVICE_WORKER).decode()
    text = text.replace("edgegenre-HASH", f"edgegenre-{digest.hexdigest()[:16]}")
    return text.replace('["FILES"]', json.dumps(["./", *sorted(files)])).encode()
