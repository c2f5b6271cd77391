"""A head along a stream: window by window, with the state kept between them, on disk too if asked for."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import read_npz

from .bundle_head import BundleHead

__all__ = ["HeadStream"]

_FORMAT_VERSION = 1
_MAX_STATE_BYTES = 64 << 20
_EARLY = 1e-3


class HeadStream:
    """The head of a bundle on one stream.

    A head is trained on windows that are half a window apart. Where answers come more often, each takes in its own
    window, and the state goes on only when a hop has passed, so that every answer is what it is in a file.

    Parameters
    ----------
    bundle_head
        The head.
    hop_s
        Its hop in seconds; an attribute too.
    memory_s
        Time constant in seconds with which sums over windows forget; None: they hold the whole stream.
    """

    def __init__(self, bundle_head: BundleHead, hop_s: float, memory_s: float | None = None) -> None:
        self._bundle_id, self._head, self.hop_s, self._memory_s = (
            bundle_head.bundle_id, bundle_head.head, hop_s, memory_s
        )  # fmt: skip
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._state = self._head.initial_state()
        self._end_s: float | None = None

    def push(
        self, embedding: npt.NDArray[np.float32], end_s: float, *, is_repeated: bool = False
    ) -> npt.NDArray[np.float32]:
        """Take a window's embedding, float32 [D]; returns the logits float32 [C] of the stream up to it.

        Parameters
        ----------
        embedding
            Of the window.
        end_s
            Its end in the stream, in seconds.
        is_repeated
            Whether it is shorter than a window: it is answered about, and the state stays.
        """
        passed_s = self.hop_s if self._end_s is None else end_s - self._end_s
        logits, after = self._head.step(embedding, self._state)
        if not is_repeated and not 0 <= passed_s < self.hop_s * (1 - _EARLY):
            if self._memory_s is not None:
                kept = np.float32(math.exp(-self.hop_s / self._memory_s))
                sums = [name for name, part in self._head.config.state.items() if part.is_sum]
                after |= {name: after[name] * kept for name in sums}
            self._state, self._end_s = after, end_s
        return logits

    def copy(self) -> HeadStream:
        """Return the same stream, to go on from here independently."""
        other = copy.copy(self)
        other.continue_from(self)
        return other

    def continue_from(self, other: HeadStream) -> None:
        """Take over the state of another stream of the same head; what comes next begins at 0 s."""
        self._state, self._end_s = dict(other._state), None

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all; raises :class:`DataError` if it cannot be written."""
        arrays = {f"state_{name}": array for name, array in self._state.items()}
        about = {"format_version": np.array(_FORMAT_VERSION), "bundle_id": np.array(self._bundle_id)}
        with written_beside(path) as file:
            np.savez(file, allow_pickle=False, **about, **arrays)

    def load(self, path: Path) -> None:
        """Go on from a state that :meth:`save` wrote.

        Raises
        ------
        DataError
            If it cannot be read, is damaged, or is of another bundle.
        """
        shapes = {name: part.shape for name, part in self._head.config.state.items()}
        try:
            if path.stat().st_size > _MAX_STATE_BYTES:
                raise ValueError("it is too large")
            arrays = read_npz(path)
            version, bundle_id = int(arrays["format_version"]), str(arrays["bundle_id"])
            state = {name: arrays[f"state_{name}"] for name in shapes} if bundle_id == self._bundle_id else {}
        except OSError as error:
            raise DataError(f"{path}: cannot read the state ({(error.strerror or str(error)).lower()})") from error
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: is no state of a stream, or damaged: remove it, or name another file") from error
        if version != _FORMAT_VERSION or bundle_id != self._bundle_id:
            raise DataError(
                f"{path}: is the state of another bundle ({bundle_id[:12]}; this one is {self._bundle_id[:12]}): name "
                "another file, or the bundle that wrote it"
            )
        if not all(
            state[name].shape == shape and state[name].dtype == np.float32 and np.isfinite(state[name]).all()
            for name, shape in shapes.items()
        ):
            raise DataError(f"{path}: is no state of a stream, or damaged: remove it, or name another file")
        self._state, self._end_s = state, None
