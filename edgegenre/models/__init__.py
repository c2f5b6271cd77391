"""The networks: one table of builders, each from a frozen config to a torch module.

Every network takes float32 [B, 1, n_mels, 128] in dB above the window's floor (0 … 80, what the int8 cells
stand for) and returns logits float32 [B, n_classes]. A batch norm behind the first convolution learns the
input's scale, so that nothing but the cells themselves enters the exported graph; networks with published
weights have the scale folded into their first layers (:mod:`.input_scale`, :mod:`.mn04`).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from edgegenre_runtime.errors import UsageError

from .channel_widths import layer_widths, set_widths
from .cnn import Cnn
from .compact import Compact
from .config import ModelConfig, Network
from .efficientnet_lite import EfficientNetLite0
from .mn04 import Mn04
from .resnet import ResNet18
from .vgg import vgg11, vgg16

__all__ = ["MODELS", "ModelConfig", "Network", "build", "layer_widths", "parameter_groups"]

MODELS: dict[str, Callable[[ModelConfig], Network]] = {
    "cnn": Cnn,
    "compact": Compact,
    "efficientnet_lite0": EfficientNetLite0,
    "mn04": Mn04,
    "resnet18": ResNet18,
    "vgg11": vgg11,
    "vgg16": vgg16,
}


def build(config: ModelConfig) -> Network:
    """Return a freshly initialized network.

    Raises
    ------
    UsageError
        If the name is not in the table.
    CheckpointError
        If the widths of a pruned network are not its layers'.
    """
    if config.name not in MODELS:
        raise UsageError(f"model {config.name!r} is unknown; there are: {', '.join(sorted(MODELS))}")
    network = MODELS[config.name](config)
    if config.widths:
        set_widths(network, config.widths)
    return network


def parameter_groups(network: Network) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the parameters part by part from input to head, for freezing and for learning rates by depth.

    Every parameter is in exactly one group; the last group is called ``"head"`` and is what published weights of
    another task don't give.
    """
    return [(name, list(module.parameters())) for name, module in network.stages()]
