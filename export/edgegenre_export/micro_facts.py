"""What firmware has to provide for the int8 model under TensorFlow Lite Micro."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["MicroFacts"]


@dataclasses.dataclass(frozen=True, slots=True)
class MicroFacts:
    """What firmware has to provide.

    Attributes
    ----------
    arena_bytes
        Tensor arena that TFLite Micro's interpreter takes here, a multiple of 16; it does not start with less. Its
        records hold 64-bit pointers here; a 32-bit microcontroller needs a little less.
    resolver
        What to call on a ``MicroMutableOpResolver``, each once.
    model_bytes
        Size of the model, which stays in flash.
    """

    arena_bytes: int
    resolver: tuple[str, ...]
    model_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-ready keys and values."""
        return dataclasses.asdict(self)
