"""One step of each kind of head: the embedding of a window and the state before it, to logits and the state after.

All in float32. The state has a fixed size, so that a stream may be endless; fed window by window or in pieces, the
answers are the same.

- ``mean``: logits of the mean embedding.
- ``attention``: softmax pooling over time, exactly: with scores ``s`` the state is the largest one so far, the sum of
  ``exp(s - largest) · e`` and that of ``exp(s - largest)``; both are scaled down when a larger score comes.
- ``gru``: a gated recurrent unit (Cho et al., 2014; torch's form, reset gate behind the hidden layer).
- ``transformer``: one block whose newest window looks back on the last ``memory`` windows, with an embedding of their
  age.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError

from .config import ATTENTION_HEADS, NO_SCORE, HeadConfig

__all__ = ["Head", "State"]

_Floats = npt.NDArray[np.float32]
State = Mapping[str, npt.NDArray[np.float32]]
"""The tensors of :attr:`HeadConfig.state`, float32, by name; never changed in place."""


class Head:
    """A head with its weights.

    Parameters
    ----------
    config
        What it is.
    weights
        The tensors of :attr:`HeadConfig.weights`, float32.

    Raises
    ------
    BundleError
        If a weight is missing, of another shape, or not finite.
    """

    def __init__(self, config: HeadConfig, weights: Mapping[str, _Floats]) -> None:
        shapes = {name: weights[name].shape for name in sorted(weights)}
        if shapes != dict(sorted(config.weights.items())):
            raise BundleError(f"the head's weights are not those of a {config.kind} head of its sizes")
        if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in weights.values()):
            raise BundleError("the head's weights are not finite float32")
        self.config, self._weights = config, dict(weights)
        steps: dict[str, Callable[[_Floats, State], tuple[_Floats, dict[str, _Floats]]]] = {
            "mean": self._mean,
            "attention": self._attention,
            "gru": self._gru,
            "transformer": self._transformer,
        }
        self._step = steps[config.kind]

    def initial_state(self) -> dict[str, _Floats]:
        """Return the state before any window."""
        return {name: np.full(part.shape, part.initial, dtype=np.float32) for name, part in self.config.state.items()}

    def step(self, embedding: _Floats, state: State) -> tuple[_Floats, dict[str, _Floats]]:
        """Return logits float32 [C] after a window's embedding float32 [D], and the state after it."""
        return self._step((embedding - self._weights["center"]) * self._weights["scale"], state)

    def run(self, embeddings: _Floats) -> _Floats:
        """Return the logits float32 [T, C] after each of the embeddings float32 [T, D] of one stream."""
        state: State = self.initial_state()
        logits = []
        for embedding in embeddings:
            answer, state = self.step(embedding, state)
            logits.append(answer)
        return np.stack(logits)

    def _dense(self, name: str, x: _Floats) -> _Floats:
        result: _Floats = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return result

    def _mean(self, x: _Floats, state: State) -> tuple[_Floats, dict[str, _Floats]]:
        after = {"total": state["total"] + x, "count": state["count"] + np.float32(1)}
        return self._dense("answer", after["total"] / after["count"]), after

    def _attention(self, x: _Floats, state: State) -> tuple[_Floats, dict[str, _Floats]]:
        score: _Floats = np.sum(np.tanh(self._dense("key", x)) * self._weights["query"], keepdims=True)
        largest = np.maximum(state["largest"], score)
        before, now = np.exp(state["largest"] - largest), np.exp(score - largest)
        after = {
            "largest": largest,
            "numerator": state["numerator"] * before + now * x,
            "denominator": state["denominator"] * before + now,
        }
        pooled: _Floats = after["numerator"] / after["denominator"]
        return self._dense("answer", pooled), after

    def _gru(self, x: _Floats, state: State) -> tuple[_Floats, dict[str, _Floats]]:
        hidden = state["hidden"]
        projected = np.tanh(self._dense("project", x))
        reset, update, new = np.split(self._dense("gates_in", projected), 3)
        hidden_reset, hidden_update, hidden_new = np.split(self._dense("gates_hidden", hidden), 3)
        kept = _sigmoid(update + hidden_update)
        candidate = np.tanh(new + _sigmoid(reset + hidden_reset) * hidden_new)
        after: _Floats = (np.float32(1) - kept) * candidate + kept * hidden
        return self._dense("answer", after), {"hidden": after}

    def _transformer(self, x: _Floats, state: State) -> tuple[_Floats, dict[str, _Floats]]:
        newest = self._dense("project", x)
        recent = np.concatenate([state["recent"][1:], newest[None]])
        is_filled = np.concatenate([state["is_filled"][1:], np.ones(1, np.float32)])
        normal = _normalized(recent + self._weights["age"])
        n, size = ATTENTION_HEADS, self.config.width // ATTENTION_HEADS
        query = self._dense("query", normal[-1]).reshape(n, size)
        key, value = (self._dense(name, normal).reshape(-1, n, size) for name in ("key", "value"))
        scores = np.einsum("hd,nhd->hn", query, key) / np.float32(math.sqrt(size))
        scores += (is_filled - np.float32(1)) * np.float32(-NO_SCORE)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights = powers / powers.sum(axis=1, keepdims=True)
        heard = newest + self._dense("joined", np.einsum("hn,nhd->hd", weights, value).reshape(-1))
        inner = np.maximum(self._dense("expand", _normalized(heard)), 0)
        last = heard + self._dense("contract", inner)
        return self._dense("answer", _normalized(last)), {"recent": recent, "is_filled": is_filled}


def _sigmoid(x: _Floats) -> _Floats:
    result: _Floats = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))  # never overflows
    return result


def _normalized(x: _Floats) -> _Floats:
    """Return float32 [..., W] with mean 0 and deviation 1 over the last axis; scale and shift are in what follows."""
    centered = x - x.mean(axis=-1, keepdims=True)
    result: _Floats = centered / np.sqrt((centered * centered).mean(axis=-1, keepdims=True) + np.float32(1e-5))
    return result
