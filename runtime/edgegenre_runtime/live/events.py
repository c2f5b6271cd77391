"""What a listening program reports besides its answers."""

from __future__ import annotations

import dataclasses
import time

__all__ = ["KEEPING_UP", "Event"]

KEEPING_UP = "keeping up again"
"""Message of the event ``behind`` that ends the state."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that a person or a program may want to know.

    Attributes
    ----------
    kind
        One word: ``live`` (samples arrive), ``lost`` (they do not), ``zeros`` (they are all zero), ``sound`` (they are
        no more), ``lossy`` (the rate is too low), ``behind`` (windows are skipped), ``output`` (an output fails
        or works again), ``statistics`` (on SIGUSR1), ``ended``; ``warning`` and ``error`` of one input.
    message
        One sentence.
    unix_s
        When, in seconds since 1970.
    """

    kind: str
    message: str
    unix_s: float = dataclasses.field(default_factory=time.time)
