"""``edgegenre verify``: whether a bundle does on this machine what it did where it was exported.

Hashes, then the golden vectors: PCM through every implementation of the front-end that is here, bit for bit; the golden
windows through ``net.eg`` in the C engine and ``model_int8.tflite`` in the NumPy reference, logits and embedding bit
for bit; and, where an
interpreter is installed, through every ``.tflite``, whose integer outputs may differ by one step between kernel sets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError, ExportError
from edgegenre_runtime.frontend import LogMel, Tables, native, normalize
from edgegenre_runtime.frontend import numpy_reference as mel
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cells_to_db
from edgegenre_runtime.signature import PublicKey

from .backends import Backend
from .bundle import Bundle, read_bundle
from .engine import Engine
from .engine import load as load_engine
from .golden import GOLDEN, embedding_key, golden_key, read_golden
from .head import read_head
from .head_model import run_head_model
from .interpreters import TfliteModel, has_interpreter
from .reference import Reference

__all__ = ["Check", "format_checks", "verify"]

_INT_STEPS = 1
_FLOAT_LOGITS = 1e-3
_WAVEFORM_PROBABILITY = 0.05  # what a step of an int8 logit can be worth

_Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, whether it is as it must be, and what was found."""

    what: str
    is_ok: bool
    found: str


def verify(path: Path, trust: Sequence[PublicKey] = ()) -> Iterator[Check]:
    """Check a bundle, folder or ``.zip``, step by step; with ``trust`` that one of these keys signed it.

    Raises
    ------
    BundleError
        If it cannot be opened, is not signed as asked, or has no golden vectors.
    """
    bundle = read_bundle(path, trust)
    if bundle.release is not None and bundle.signed_by:
        release = bundle.release
        yield Check("signature", True, f"{release.name}, version {release.version}, by {bundle.signed_by}")
    yield from _hashes(bundle)
    golden = read_golden(bundle)
    yield from _front_end(bundle.tables, golden)
    yield from _engine(bundle, golden)
    for name in sorted(bundle.manifest["files"]):
        key = golden_key(name)
        if name.endswith(".tflite") and key in golden and has_interpreter():
            yield _network(bundle, name, golden, golden[key])
            if embedding_key(name) in golden:
                yield _embedding(bundle, name, golden["cells"], golden[embedding_key(name)])
    yield from _head(bundle, golden)


def format_checks(checks: list[Check]) -> str:
    """Return a table, one line per check, and the verdict."""
    width = max(len(check.what) for check in checks)
    lines = [f"{check.what:{width}}  {'ok' if check.is_ok else 'DIFFERS':8} {check.found}" for check in checks]
    differing = sum(not check.is_ok for check in checks)
    verdict = (
        f"{differing} of {len(checks)} checks differ: do not use this bundle here" if differing else "all as exported"
    )
    return "\n".join([*lines, f"{'verdict':{width}}  {verdict}"])


def _hashes(bundle: Bundle) -> Iterator[Check]:
    names, changed = sorted(bundle.manifest["files"]), []
    for name in names:
        try:
            bundle.read(name)
        except BundleError:
            changed.append(name)
    found = f"changed: {', '.join(changed)}" if changed else f"SHA-256 of {len(names)} files"
    yield Check("files", not changed, found)


def _front_end(tables: Tables, golden: _Arrays) -> Iterator[Check]:
    implementations: dict[str, Callable[[npt.NDArray[np.int16], Tables], LogMel]] = {"numpy": mel.log_mel}
    if native.load() is not None:
        implementations["c"] = native.log_mel
    for name, log_mel in implementations.items():
        n_different = 0
        for i, pcm in enumerate(golden["pcm"]):
            frames = log_mel(pcm, tables).frames_q9
            window = normalize(frames, tables)
            same = np.array_equal(frames, golden["frames_q9"][i]) and np.array_equal(window.cells, golden["cells"][i])
            n_different += not (same and window.is_silence == golden["is_silence"][i])
        n = len(golden["pcm"])
        yield _exact(f"front-end, {name}", n_different, n, "pieces")


def _engine(bundle: Bundle, golden: _Arrays) -> Iterator[Check]:
    """Yield whether the project's own two implementations of the network give the golden logits, bit for bit."""
    key = golden_key("net.eg")
    if key not in golden or "net.eg" not in bundle.manifest["files"]:
        return
    backends: dict[str, Callable[[], Backend]] = {"network, numpy": lambda: Reference(bundle.read("model_int8.tflite"))}
    if load_engine() is not None:
        backends["network, c"] = lambda: Engine(bundle.read("net.eg"))
    for what, load in backends.items():
        try:
            backend = load()
            outputs = _answers(backend, golden["cells"])
        except (BundleError, ExportError, ValueError) as error:
            yield Check(what, False, f"cannot be run: {str(error).splitlines()[0]}")
            continue
        vectors = golden.get(embedding_key("net.eg"), np.zeros((len(golden[key]), 0), np.int8))
        expected = np.concatenate((golden[key], vectors), axis=1)
        is_comparable = outputs.shape == expected.shape
        n_different = int((outputs != expected).any(axis=1).sum()) if is_comparable else len(outputs)
        yield _exact(what, n_different, len(outputs), "windows")


def _answers(backend: Backend, windows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return logits and, if there is one, embedding of each window side by side, int8 [N, C + D]."""
    if not backend.embedding_dims:
        return np.stack([backend.run(cells) for cells in windows])
    return np.stack([np.concatenate(backend.run_both(cells)) for cells in windows])


def _head(bundle: Bundle, golden: _Arrays) -> Iterator[Check]:
    """Yield whether the head gives its golden logits over the golden embeddings, taken for one stream."""
    found = read_head(bundle)
    if found is None:
        return
    embeddings, expected = golden.get("head_embeddings"), golden.get("head_logits")
    if embeddings is None or expected is None:
        yield Check("head, numpy", False, f"{GOLDEN} has no golden logits of it")
        return
    runs: dict[str, Callable[[], npt.NDArray[np.float32]]] = {"head, numpy": lambda: found.head.run(embeddings)}
    if "head.tflite" in bundle.manifest["files"] and has_interpreter():
        content = bundle.read("head.tflite")
        runs["head.tflite"] = lambda: run_head_model("head.tflite", content, found.head, embeddings)
    for what, run in runs.items():
        try:
            difference = float(np.abs(run() - expected).max())
        except (KeyError, ValueError, RuntimeError) as error:
            yield Check(what, False, f"cannot be run: {(str(error) or type(error).__name__).splitlines()[0]}")
            continue
        yield Check(what, difference <= _FLOAT_LOGITS, f"largest difference {difference:.2g}")


def _exact(what: str, n_different: int, n: int, items: str) -> Check:
    """Return the check of ``n`` items that must be the same to the bit."""
    return Check(
        what, not n_different, f"{n_different} of {n} {items} differ" if n_different else f"{n} {items} bit for bit"
    )


def _network(bundle: Bundle, name: str, golden: _Arrays, expected: npt.NDArray[Any]) -> Check:
    try:
        outputs = _run(bundle.read(name), golden, bundle)
    except (BundleError, ValueError, RuntimeError) as error:
        return Check(
            name, False, f"cannot be run: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        )
    if outputs.shape != expected.shape or outputs.dtype != expected.dtype:
        return Check(
            name, False, f"gives {outputs.dtype} {list(outputs.shape)}, not {expected.dtype} {list(expected.shape)}"
        )
    difference = float(np.abs(outputs.astype(np.float64) - expected).max())
    has_sound = ~golden["is_silence"]
    same_top = np.array_equal(outputs.argmax(axis=1)[has_sound], expected.argmax(axis=1)[has_sound])
    limit: float
    if expected.dtype.kind == "i":
        limit, found = _INT_STEPS, f"largest difference {difference:.0f} steps"
    else:
        is_waveform = name.startswith("model_audio")
        limit = _WAVEFORM_PROBABILITY if is_waveform else _FLOAT_LOGITS
        found = f"largest difference {difference:.2g}"
    return Check(name, bool(difference <= limit and same_top), found + ("" if same_top else ", another answer"))


def _embedding(bundle: Bundle, name: str, windows: npt.NDArray[np.int8], expected: npt.NDArray[Any]) -> Check:
    what = f"{name}, embedding"
    try:
        model = TfliteModel(bundle.read(name))
        outputs = np.stack([model.run_both(cells.reshape(model.input.shape))[1].reshape(-1) for cells in windows])
    except (BundleError, TypeError, ValueError, RuntimeError) as error:
        return Check(what, False, f"cannot be run: {(str(error) or type(error).__name__).splitlines()[0]}")
    if outputs.shape != expected.shape:
        return Check(what, False, f"gives {list(outputs.shape)}, not {list(expected.shape)}")
    difference = int(np.abs(outputs.astype(np.int64) - expected).max())
    return Check(what, difference <= _INT_STEPS, f"largest difference {difference} steps")


def _run(content: bytes, golden: _Arrays, bundle: Bundle) -> npt.NDArray[Any]:
    """Run a .tflite over the golden windows: PCM, int8 cells, int16 steps or dB above the floor, as it takes them."""
    model, top_db = TfliteModel(content), bundle.tables.spec.top_db
    inputs: npt.NDArray[Any] = golden["cells"]
    if model.input.dtype == np.int16:
        inputs = golden["cells"].astype(np.int16) - CELL_ZERO_POINT
    elif model.input.dtype == np.float32:
        takes_pcm = int(np.prod(model.input.shape)) == bundle.tables.spec.window_samples
        inputs = golden["pcm"] / np.float32(32768) if takes_pcm else cells_to_db(golden["cells"], top_db)
    return model.run_all(inputs)
