"""The heads as torch modules: the same step as :mod:`edgegenre_runtime.network.head.steps`, for a batch of streams."""

from __future__ import annotations

import abc
import math

import torch
from torch import nn

from edgegenre_runtime.network.head import HeadConfig
from edgegenre_runtime.network.head.config import ATTENTION_HEADS, NO_SCORE

__all__ = ["HeadModule", "build_head"]

_Step = tuple[torch.Tensor, tuple[torch.Tensor, ...]]


class HeadModule(nn.Module, abc.ABC):
    """A head; its state dict has the names of :attr:`HeadConfig.weights`.

    Parameters
    ----------
    config
        What it is.
    """

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("center", torch.zeros(config.embedding_size))
        self.register_buffer("scale", torch.ones(config.embedding_size))
        self.dropout = nn.Dropout(0.0)
        for name, shape in config.weights.items():
            if name.endswith(".weight"):
                self.add_module(name.removesuffix(".weight"), nn.Linear(shape[1], shape[0]))

    def initial_state(self, n_streams: int) -> tuple[torch.Tensor, ...]:
        """Return the state of streams before any window, each tensor with the streams as its first axis."""
        return tuple(
            torch.full((n_streams, *part.shape), part.initial, device=self.center.device)
            for part in self.config.state.values()
        )

    def step(self, embedding: torch.Tensor, *state: torch.Tensor) -> _Step:
        """Map embeddings float32 [B, D] and the state to logits [B, C] and the state after."""
        return self._step(self.dropout((embedding - self.center) * self.scale), *state)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Map the embeddings of whole streams, float32 [B, T, D], to the logits after each window, [B, T, C]."""
        state = self.initial_state(len(embeddings))
        logits = []
        for i in range(embeddings.shape[1]):
            answer, state = self.step(embeddings[:, i], *state)
            logits.append(answer)
        return torch.stack(logits, dim=1)

    @abc.abstractmethod
    def _step(self, x: torch.Tensor, *state: torch.Tensor) -> _Step:
        """Take standardized embeddings."""


class _Mean(HeadModule):
    answer: nn.Linear

    def _step(self, x: torch.Tensor, *state: torch.Tensor) -> _Step:
        total, count = state[0] + x, state[1] + 1
        return self.answer(total / count), (total, count)


class _Attention(HeadModule):
    answer: nn.Linear
    key: nn.Linear

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.query = nn.Parameter(torch.zeros(config.width))  # every window weighs the same at first

    def _step(self, x: torch.Tensor, *state: torch.Tensor) -> _Step:
        score = (torch.tanh(self.key(x)) * self.query).sum(dim=1, keepdim=True)
        largest = torch.maximum(state[0], score)
        before, now = torch.exp(state[0] - largest), torch.exp(score - largest)
        numerator, denominator = state[1] * before + now * x, state[2] * before + now
        return self.answer(numerator / denominator), (largest, numerator, denominator)


class _Gru(HeadModule):
    answer: nn.Linear
    project: nn.Linear
    gates_in: nn.Linear
    gates_hidden: nn.Linear

    def _step(self, x: torch.Tensor, *state: torch.Tensor) -> _Step:
        projected = torch.tanh(self.project(x))
        reset, update, new = self.gates_in(projected).chunk(3, dim=1)
        hidden_reset, hidden_update, hidden_new = self.gates_hidden(state[0]).chunk(3, dim=1)
        kept = torch.sigmoid(update + hidden_update)
        candidate = torch.tanh(new + torch.sigmoid(reset + hidden_reset) * hidden_new)
        hidden = (1 - kept) * candidate + kept * state[0]
        return self.answer(hidden), (hidden,)


class _Transformer(HeadModule):
    answer: nn.Linear
    project: nn.Linear
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    joined: nn.Linear
    expand: nn.Linear
    contract: nn.Linear

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.age = nn.Parameter(0.02 * torch.randn(config.memory, config.width))

    def _step(self, x: torch.Tensor, *state: torch.Tensor) -> _Step:
        n, size = ATTENTION_HEADS, self.config.width // ATTENTION_HEADS
        newest = self.project(x)
        recent = torch.cat([state[0][:, 1:], newest[:, None]], dim=1)
        is_filled = torch.cat([state[1][:, 1:], torch.ones_like(state[1][:, :1])], dim=1)
        normal = _normalized(recent + self.age)
        query = self.query(normal[:, -1]).reshape(-1, 1, n, size)
        key, value = (dense(normal).reshape(-1, self.config.memory, n, size) for dense in (self.key, self.value))
        scores = (query * key).sum(dim=3) / math.sqrt(size) + ((is_filled - 1) * -NO_SCORE)[:, :, None]
        weights = torch.softmax(scores, dim=1)
        heard = newest + self.joined((weights[:, :, :, None] * value).sum(dim=1).flatten(1))
        last = heard + self.contract(torch.relu(self.expand(_normalized(heard))))
        return self.answer(_normalized(last)), (recent, is_filled)


_MODULES: dict[str, type[HeadModule]] = {
    "mean": _Mean,
    "attention": _Attention,
    "gru": _Gru,
    "transformer": _Transformer,
}


def build_head(config: HeadConfig) -> HeadModule:
    """Return a freshly initialized head."""
    return _MODULES[config.kind](config)


def _normalized(x: torch.Tensor) -> torch.Tensor:
    centered = x - x.mean(dim=-1, keepdim=True)
    return centered / torch.sqrt((centered * centered).mean(dim=-1, keepdim=True) + 1e-5)
