"""Published weights: from a file of :mod:`.weight_files` into a network of ours, and nothing unpickled.

``torch.load(weights_only=True)`` reads tensors and refuses every other object.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from edgegenre.models.compact import Compact
from edgegenre.models.compact_start import start_from_mn04
from edgegenre.models.imagenet.input_scale import fold_input_scale
from edgegenre.models.joined.base import Joined
from edgegenre.models.published.artist import Artist, is_artist, start_from_artist
from edgegenre.models.published.mn04 import is_mn04
from edgegenre.models.published.musicnn import Musicnn, is_musicnn, start_from_musicnn
from edgegenre.models.temporal import Temporal, start_temporal
from edgegenre.weight_files import checked_sha256, find_weights
from edgegenre_runtime.errors import CheckpointError, UsageError
from edgegenre_runtime.file_formats import read_npz

from .models import ModelConfig, Network, build

__all__ = ["LoadedWeights", "load_members", "load_weights"]


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedWeights:
    """The result of loading weights.

    Attributes
    ----------
    source
        The file that was read.
    sha256
        SHA-256 of that file.
    used
        Keys that were loaded.
    adapted
        Keys among them whose shape was changed: the first convolution, summed over RGB.
    dropped
        Keys that the network does not use: the head of the original task.
    fresh
        The network's keys that keep their initial values: its head.
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
            f"{len(self.dropped)} dropped, newly initialized: {', '.join(self.fresh) or 'nothing'}"
        )


def load_weights(network: Network, source: str | Path, *, keep_head: bool = False) -> LoadedWeights:
    """Load published weights into a freshly built network, in place.

    A :class:`edgegenre.models.compact.Compact` also takes mn04's weights (:mod:`edgegenre.models.compact_start`).
    A first convolution for RGB is summed over its colors, and then takes the scale of the cells
    (:func:`edgegenre.models.imagenet.input_scale.fold_input_scale`).

    Parameters
    ----------
    network
        As :func:`edgegenre.models.build` returned it.
    source
        A ``.safetensors`` or ``.npz`` file, a file of ``torch.save`` (``.pth``, ``.pt``), an https URL of one, or
        ``"package"`` for EfficientNet-Lite0's weights in its package.
    keep_head
        Load the head too; it must have the network's shape.

    Raises
    ------
    CheckpointError
        If the file cannot be found or read, its hash is not the one in its name, or its tensors don't fit.
    UsageError
        If the URL is not https.
    MissingExtraError
        If the package is not installed.
    """
    path = find_weights(str(source))
    digest = checked_sha256(path)
    loaded = _read(path)
    state = network.state_dict()
    head = () if keep_head else tuple(key for key in state if key.startswith(network.head_prefix()))
    if isinstance(network, Compact) and is_mn04(loaded):
        loaded = start_from_mn04(loaded)
        head = tuple(key for key in state if key not in loaded)
    elif isinstance(network, Artist) and is_artist(loaded):
        loaded = start_from_artist(loaded)
    elif isinstance(network, Musicnn) and is_musicnn(loaded):
        loaded = start_from_musicnn(loaded)
    elif isinstance(network, Temporal) and is_artist(loaded):
        loaded = {
            **{key: state[key] for key in state if key.startswith(("knees.", "means."))},
            **start_temporal(loaded),
        }
    head += tuple(key for key in state if key.startswith("pool.") and key not in loaded)  # published with a mean
    counters = {key for key in state if key.endswith("num_batches_tracked")}  # files of old torch lack these
    missing = sorted(set(state) - set(loaded) - set(head) - counters)
    unknown = sorted(set(loaded) - set(state))
    if missing or unknown:
        raise CheckpointError(
            f"weights {path} are of another network: {len(missing)} tensors are missing (first: "
            f"{missing[0] if missing else 'none'}), {len(unknown)} unknown (first: {unknown[0] if unknown else 'none'})"
        )
    first = next(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)) + ".weight"
    used = {key: tensor for key, tensor in loaded.items() if key not in head}
    from_rgb = used[first].ndim == 4 and used[first].shape[1] == 3
    if from_rgb:
        used[first] = used[first].sum(dim=1, keepdim=True)
    for key, tensor in used.items():
        if tensor.shape != state[key].shape:
            raise CheckpointError(
                f"weights {path}: {key} has shape {list(tensor.shape)}, the network's is {list(state[key].shape)}"
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
        dropped=tuple(sorted(set(loaded) - set(used))),
        fresh=tuple(sorted(head)),
    )


def load_members(network: Joined, sources: Sequence[str | Path]) -> list[LoadedWeights]:
    """Load the published weights of each member into a joined network, in place; the files tell whose they are.

    Raises
    ------
    UsageError
        If a member has no file, or two, or a file is of none of them.
    CheckpointError
        As :func:`load_weights`.
    """
    by_name: dict[str, Path] = {}
    members = ", ".join(network.starts)
    for path in (find_weights(str(source)) for source in sources):
        given = _read(path)
        name = next((name for name, is_its in network.starts.items() if is_its(given)), None)
        if name is None or name in by_name:
            raise UsageError(f"weights {path} are {'of none' if name is None else 'a second file of one'} of {members}")
        by_name[name] = path
    if missing := [name for name in network.starts if name not in by_name]:
        raise UsageError(f"this network needs the weights of {members}; missing: {', '.join(missing)}")
    loaded = []
    for name in network.starts:
        whole = build(ModelConfig(name, 2))
        loaded.append(load_weights(whole, by_name[name]))
        member, state = network.members[name], whole.state_dict()
        member.load_state_dict({key: state[key] for key in member.state_dict()})
    return loaded


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix == ".npz":
            return {key: torch.from_numpy(array) for key, array in read_npz(path).items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles; what matters is raised
            values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader of pickles raises whatever its stack machine stumbles on
        raise CheckpointError(
            f"weights {path} cannot be read as {path.suffix or 'torch'} tensors: damaged, or more than tensors in it"
        ) from error
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise CheckpointError(f"weights {path} are no state dict: it must map names to tensors")
    return dict(values)
