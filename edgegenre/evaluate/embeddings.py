"""Window embeddings: what the last layer of a network takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgegenre.models import Network

__all__ = ["embed", "embed_and_classify"]


def embed_and_classify(network: Network, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings float32 [B, D] and logits [B, C] of windows float32 [B, 1, M, T] in dB above the floor."""
    seen: list[torch.Tensor] = []

    def keep(_head: nn.Module, taken: tuple[Any, ...]) -> None:
        seen.append(taken[0])

    hook = network.stages()[-1][1].register_forward_pre_hook(keep)
    try:
        logits = network(inputs)
    finally:
        hook.remove()
    return seen[-1], logits


def embed(network: Network, inputs: torch.Tensor, batch_size: int = 64) -> torch.Tensor:
    """Return the embeddings float32 [N, D] of windows, without gradients; the network is put into eval mode."""
    network.eval()
    with torch.inference_mode():
        blocks = [embed_and_classify(network, part)[0] for part in torch.split(inputs, batch_size)]
    return torch.cat(blocks).clone()
