"""The state that a stopped run resumes from: one safetensors file per epoch, with JSON in its header. No pickle.

One file, renamed into place, so that a kill cannot leave two that do not match. Random states are not in it: order,
crops, augmentation and dropout follow from seed and epoch.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import CheckpointError, UsageError
from edgegenre_runtime.file_formats import parse_json

__all__ = ["RunState", "load_state", "restore_optimizer", "save_state"]

_VERSION = 2
_SECTIONS = ("network", "average", "optimizer")


@dataclasses.dataclass(frozen=True, slots=True)
class RunState:
    """A run after an epoch.

    Attributes
    ----------
    identity
        JSON-ready: options, network, data and teachers; a run resumes only with the same.
    best_epoch
        Epoch of the best checkpoint, counted from 0.
    history
        One row per epoch.
    network, average, optimizer
        Tensors by name; the optimizer's are ``PARAMETER/KEY``, those of the average may be empty.
    """

    identity: dict[str, Any]
    best_epoch: int
    history: list[dict[str, float]]
    network: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]


def save_state(
    path: Path,
    *,
    identity: dict[str, Any],
    best_epoch: int,
    history: list[dict[str, float]],
    network: nn.Module,
    average: nn.Module | None,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the state of a run, whole or not at all."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    sections = {
        "network": network.state_dict(),
        "average": {} if average is None else average.state_dict(),
        "optimizer": {
            f"{names[id(parameter)]}/{key}": tensor
            for parameter, values in optimizer.state.items()
            for key, tensor in values.items()
        },
    }
    tensors = {
        f"{section}:{name}": tensor.detach().cpu().contiguous().clone()
        for section, content in sections.items()
        for name, tensor in content.items()
    }
    about = {"format_version": _VERSION, "identity": identity, "best_epoch": best_epoch, "history": history}
    with written_beside(path) as handle:
        handle.write(save(tensors, metadata={"about": json.dumps(about)}))


def load_state(path: Path, identity: dict[str, Any]) -> RunState:
    """Read what :func:`save_state` wrote.

    Raises
    ------
    CheckpointError
        If the file is damaged or of another version.
    UsageError
        If the run that wrote it had other options, data or teachers than ``identity``.
    """
    try:
        with safe_open(path, framework="pt") as archive:
            about = parse_json(archive.metadata()["about"])
            if about["format_version"] != _VERSION:
                raise CheckpointError(f"{path}: run state of format {about['format_version']}; known is {_VERSION}")
            sections: dict[str, dict[str, torch.Tensor]] = {section: {} for section in _SECTIONS}
            for key in archive.keys():  # noqa: SIM118  # not a mapping
                section, name = key.split(":", 1)
                sections[section][name] = archive.get_tensor(key)
            state = RunState(about["identity"], about["best_epoch"], about["history"], **sections)
            if not _is_whole(state):
                raise ValueError("identity, best epoch or history are not what they must be")
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path}: the run's state is damaged: start again without --resume") from error
    wanted = json.loads(json.dumps(identity))
    differing = sorted(key for key in {*wanted, *state.identity} if wanted.get(key) != state.identity.get(key))
    if differing:
        key = differing[0]
        raise UsageError(
            f"{path}: the run was started with {key} {state.identity.get(key)}, now it is {wanted.get(key)}; resume "
            "with what it was started with, or start again without --resume"
        )
    return state


def _is_whole(state: RunState) -> bool:
    rows = state.history
    return (
        isinstance(state.identity, dict)
        and type(state.best_epoch) is int
        and isinstance(rows, list)
        and all(isinstance(row, dict) and all(type(v) in (int, float) for v in row.values()) for row in rows)
    )


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Put the tensors of a :class:`RunState` back into an optimizer, in the memory layout of the parameters."""
    parameters = dict(network.named_parameters())
    for full_name, tensor in tensors.items():
        name, key = full_name.rsplit("/", 1)
        parameter = parameters[name]
        if tensor.shape == parameter.shape and key != "step":
            tensor = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(tensor).detach()
        optimizer.state[parameter][key] = tensor
