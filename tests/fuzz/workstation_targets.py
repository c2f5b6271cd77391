"""The readers that need the workstation's libraries: checkpoints, caches, tables of tracks, ONNX."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from device_targets import _mutate_member
from mutations import mutate_bytes, mutate_json, mutate_text
from onnx_bundle import SHIPPED_ONNX
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from target import Target
from tiny import tiny_cache

from edgegenre.checkpoint import default_checkpoint, load_checkpoint, to_module
from edgegenre.data.feature_cache import load_cache, save_cache
from edgegenre.data.sources.fma import read_fma
from edgegenre.data.sources.manifest import read_manifest
from edgegenre.data.split import Split, load_split, save_split
from edgegenre.data.windows import track_windows
from edgegenre.evaluate.run import read_label_map
from edgegenre.gtzan.dataset import import_logmel
from edgegenre.models import ModelConfig, build
from edgegenre.pretrained import load_weights
from edgegenre.train.resume import load_state, save_state
from edgegenre_export import inspect_onnx
from edgegenre_runtime.frontend import released

Rng = np.random.Generator
_WEIGHTS = default_checkpoint().read_bytes()
_ABOUT = json.loads(default_checkpoint().with_suffix(".json").read_bytes())
_TABLES = released("wide9s")
_IDENTITY = {"seed": 1}
_CSV = "path,label,split,group\n" + "".join(f"{i}.wav,{'ab'[i % 2]},train,artist {i}\n" for i in range(8))
_FMA = ",set,track,artist\n,split,genre_top,name\ntrack_id,,,\n" + "".join(
    f"{i},training,{'Rock' if i % 2 else 'Folk'},someone {i}\n" for i in range(2, 8)
)


def targets() -> Iterator[Target]:
    """Yield every target of this module."""
    yield Target("checkpoint, JSON", _checkpoint_json, _read_checkpoint)
    yield Target("checkpoint, weights", _checkpoint_weights, _read_checkpoint)
    yield Target("feature cache", _cache, _read_cache)
    yield Target("split", _split, lambda folder: load_split(folder / "s.json"))
    yield Target("CSV of tracks", _csv, lambda folder: read_manifest(folder / "t.csv"))
    yield Target("FMA's table", _fma, lambda folder: read_fma(folder / "t.csv", folder / "audio"))
    yield Target("label map", _label_map, lambda folder: read_label_map(folder / "m.json"))
    yield Target("run state", _state, lambda folder: load_state(folder / "last.safetensors", _IDENTITY))
    yield Target("published weights", _published, _read_published)
    yield Target("ready log-mels", _logmels, lambda folder: import_logmel(folder, _TABLES, folder / "out.npz"))
    yield Target("onnx", _onnx, lambda folder: inspect_onnx((folder / "m.onnx").read_bytes()))


def _checkpoint_json(folder: Path, rng: Rng) -> None:
    (folder / "c.safetensors").write_bytes(_WEIGHTS)
    (folder / "c.json").write_bytes(mutate_json(_ABOUT, rng))


def _checkpoint_weights(folder: Path, rng: Rng) -> None:
    tensors: dict[str, Any] = load_tensors(_WEIGHTS)
    if rng.random() < 0.5:
        content = mutate_bytes(_WEIGHTS, rng)
    else:
        name = str(rng.choice(sorted(tensors)))
        tensors[name] = rng.choice(np.array([np.nan, np.inf, 0]), tensors[name].shape[1:]).astype("f4")
        content = save_tensors(tensors)
    (folder / "c.safetensors").write_bytes(content)
    about = _ABOUT | {"sha256": hashlib.sha256(content).hexdigest()}
    (folder / "c.json").write_text(json.dumps(about), encoding="utf-8")


def _read_checkpoint(folder: Path) -> None:
    to_module(load_checkpoint(folder / "c.safetensors"))


@functools.cache
def _tiny() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save_cache(tiny_cache(n_tracks=6, n_frames=130), Path(folder) / "c.npz")
        return (Path(folder) / "c.npz").read_bytes()


def _cache(folder: Path, rng: Rng) -> None:
    content = _tiny()
    if rng.random() < 0.4:
        with np.load(io.BytesIO(content)) as archive:
            arrays: dict[str, Any] = {key: archive[key] for key in archive.files}
        about = mutate_json(json.loads(str(arrays["about"])), rng).decode("utf-8", "replace").rstrip("\0")
        buffer = io.BytesIO()
        np.savez(buffer, **(arrays | {"about": np.array(about)}))
        (folder / "c.npz").write_bytes(buffer.getvalue())
    else:
        (folder / "c.npz").write_bytes(_mutate_member("c.npz", content, rng))


def _read_cache(folder: Path) -> None:
    cache = load_cache(folder / "c.npz", _TABLES)
    for part in ("train", "valid", "test"):
        for track in cache.tracks_of(part):
            track_windows(cache, int(track), _TABLES)


def _split(folder: Path, rng: Rng) -> None:
    path = folder / "s.json"
    save_split(Split(("a", "b"), ("c",), ("d",), seed=3), path)
    path.write_bytes(mutate_json(json.loads(path.read_bytes()), rng))


def _csv(folder: Path, rng: Rng) -> None:
    for i in range(8):
        (folder / f"{i}.wav").touch()
    (folder / "t.csv").write_bytes(mutate_text(_CSV, rng))


def _fma(folder: Path, rng: Rng) -> None:
    (folder / "audio" / "000").mkdir(parents=True)
    for i in range(2, 8):
        (folder / "audio" / "000" / f"{i:06}.mp3").touch()
    (folder / "t.csv").write_bytes(mutate_text(_FMA, rng))


def _label_map(folder: Path, rng: Rng) -> None:
    (folder / "m.json").write_bytes(mutate_json({"hip hop": "hiphop", "rock": "rock"}, rng))


@functools.cache
def _states() -> bytes:
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.zeros(1, 3)).sum().backward()
    optimizer.step()
    parts: dict[str, Any] = {"network": network, "average": None, "optimizer": optimizer}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.safetensors"
        save_state(path, identity=_IDENTITY, best_epoch=0, history=[], **parts)
        return path.read_bytes()


def _state(folder: Path, rng: Rng) -> None:
    content = _states()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if rng.random() < 0.5:
        about = mutate_json(json.loads(header["__metadata__"]["about"]), rng).decode("utf-8", "replace")
        header["__metadata__"]["about"] = about
        text = json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + content[8 + size :]
    else:
        content = mutate_bytes(content, rng)
    (folder / "last.safetensors").write_bytes(content)


def _published(folder: Path, rng: Rng) -> None:
    name = str(rng.choice(("w.safetensors", "w.pth")))
    if name == "w.pth":
        buffer = io.BytesIO()
        torch.save({"conv.weight": torch.zeros(4, 1, 3, 3)}, buffer)
        content = buffer.getvalue()
    else:
        content = save_tensors({"conv.weight": np.zeros((4, 1, 3, 3), np.float32)})
    (folder / name).write_bytes(mutate_bytes(content, rng))


def _read_published(folder: Path) -> None:
    (path,) = folder.glob("w.*")
    load_weights(build(ModelConfig("cnn", 3)), path)


@functools.cache
def _ready() -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        X=np.zeros((2, 128, 721), np.uint8),
        y=np.array([0, 1]),
        name=np.array(["blues.00000", "jazz.00001"]),
        genres=np.array(["blues", "jazz"]),
        vmin_db=np.array([-80.0, -80.0]),
        dur_s=np.array([30.0, 30.0]),
    )
    return buffer.getvalue()


def _logmels(folder: Path, rng: Rng) -> None:
    (folder / "logmel_721.npz").write_bytes(_mutate_member("logmel_721.npz", _ready(), rng))


def _onnx(folder: Path, rng: Rng) -> None:
    (folder / "m.onnx").write_bytes(mutate_bytes(SHIPPED_ONNX.read_bytes(), rng))
