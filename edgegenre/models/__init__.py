"""The networks: one table of builders, each from a frozen config to a torch module.

Every network takes float32 [B, 1, n_mels, 128] in dB above the window's floor (0 … 80, what the int8 cells
stand for) and returns logits float32 [B, n_classes]. A batch norm behind the first convolution learns the
input's scale, so that nothing but the cells themselves enters the exported graph; networks with published
weights have the scale folded into their first layers (:mod:`.imagenet.input_scale`, :mod:`.published.mn04`).

Names and configs are known without torch, which a builder imports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgegenre_runtime.errors import UsageError

from .config import POOLS, ModelConfig

if TYPE_CHECKING:
    from torch import nn

    from .channel_widths import layer_widths
    from .network import Network

__all__ = [
    "JOINED",
    "MODELS",
    "ModelConfig",
    "Network",
    "build",
    "check_name",
    "check_pool",
    "layer_widths",
    "parameter_groups",
]


def _artist(config: ModelConfig) -> Network:
    from .published.artist import Artist

    return Artist(config)


def _cnn(config: ModelConfig) -> Network:
    from .cnn import Cnn

    return Cnn(config)


def _compact(config: ModelConfig) -> Network:
    from .compact import Compact

    return Compact(config)


def _efficientnet_lite0(config: ModelConfig) -> Network:
    from .imagenet.efficientnet_lite import EfficientNetLite0

    return EfficientNetLite0(config)


def _ensemble(config: ModelConfig) -> Network:
    from .joined.ensemble import Ensemble

    return Ensemble(config)


def _mn04(config: ModelConfig) -> Network:
    from .published.mn04 import Mn04

    return Mn04(config)


def _musicnn(config: ModelConfig) -> Network:
    from .published.musicnn import Musicnn

    return Musicnn(config)


def _resnet18(config: ModelConfig) -> Network:
    from .imagenet.resnet import ResNet18

    return ResNet18(config)


def _temporal(config: ModelConfig) -> Network:
    from .temporal import Temporal

    return Temporal(config)


def _temporal_tags(config: ModelConfig) -> Network:
    from .joined.temporal_tags import TemporalTags

    return TemporalTags(config)


def _vgg11(config: ModelConfig) -> Network:
    from .imagenet.vgg import vgg11

    return vgg11(config)


def _vgg16(config: ModelConfig) -> Network:
    from .imagenet.vgg import vgg16

    return vgg16(config)


MODELS: dict[str, Callable[[ModelConfig], Network]] = {
    "artist": _artist,
    "cnn": _cnn,
    "compact": _compact,
    "efficientnet_lite0": _efficientnet_lite0,
    "ensemble": _ensemble,
    "mn04": _mn04,
    "musicnn": _musicnn,
    "resnet18": _resnet18,
    "temporal": _temporal,
    "temporal_tags": _temporal_tags,
    "vgg11": _vgg11,
    "vgg16": _vgg16,
}

JOINED = ("ensemble", "temporal_tags")
"""Networks of several that start from a file of weights each."""
_POOLING = ("cnn", "compact")


def check_name(name: str) -> str:
    """Return the name of a network; raises :class:`UsageError` if it is not in the table."""
    if name not in MODELS:
        raise UsageError(f"model {name!r} is unknown; there are: {', '.join(sorted(MODELS))}")
    return name


def check_pool(name: str, pool: str) -> str:
    """Return how a network pools; raises :class:`UsageError` if that is unknown, or not that network's choice."""
    if pool not in POOLS:
        raise UsageError(f"pool {pool!r} is unknown; there are: {', '.join(POOLS)}")
    if pool != "mean" and name not in _POOLING:
        raise UsageError(f"model {name} pools as it was published; --pool {pool} is for {' and '.join(_POOLING)}")
    return pool


def build(config: ModelConfig) -> Network:
    """Return a freshly initialized network.

    Raises
    ------
    UsageError
        If the name is not in the table, or the network cannot pool that way.
    CheckpointError
        If the widths of a pruned network are not its layers'.
    """
    network = MODELS[check_name(config.name)](config)
    check_pool(config.name, config.pool)
    if config.widths:
        from .channel_widths import set_widths

        set_widths(network, config.widths)
    return network


def parameter_groups(network: Network) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the parameters part by part from input to head, for freezing and for learning rates by depth.

    Every parameter is in exactly one group; the last group is called ``"head"`` and is what published weights of
    another task don't give.
    """
    return [(name, list(module.parameters())) for name, module in network.stages()]


def __getattr__(name: str) -> Any:
    if name == "Network":
        from .network import Network

        return Network
    if name == "layer_widths":
        from .channel_widths import layer_widths

        return layer_widths
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
