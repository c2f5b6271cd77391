"""The specification of edgegenre's mel front-end, in integers, and its NumPy reference implementation.

int16 PCM → :mod:`.window` → :mod:`.fft` → :mod:`.power` → :mod:`.melbank` → :mod:`.log2` → log-mel frames;
128 of these → :mod:`.window_normalizer` → the network's int8 input. Every implementation must give the same bits.
"""

from .implementation import MelStream, active_implementation, log_mel
from .log2 import FLOOR_Q9
from .spec import PRESETS, FrontendSpec, preset
from .tables import Tables, released
from .types import Clip, LogMel, Window
from .window_normalizer import normalize

__all__ = [
    "FLOOR_Q9",
    "PRESETS",
    "Clip",
    "FrontendSpec",
    "LogMel",
    "MelStream",
    "Tables",
    "Window",
    "active_implementation",
    "log_mel",
    "normalize",
    "preset",
    "released",
]
