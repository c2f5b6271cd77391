"""The specification of edgegenre's mel front-end, in integers, and its NumPy reference executor.

int16 PCM → :mod:`.window` → :mod:`.fft` → :mod:`.power` → :mod:`.melbank` → :mod:`.log2` → log-mel frames;
128 of these → :mod:`.normalise` → the network's int8 input. Every executor must give the same bits.
"""

from .errors import (
    AudioError,
    BundleError,
    CheckpointError,
    DataError,
    EdgeGenreError,
    ExportError,
    GateError,
    MicrophoneError,
    MissingExtraError,
    SpecError,
    UsageError,
)
from .executor import MelStream, active_executor, log_mel
from .log2 import FLOOR_Q9
from .normalise import normalise
from .records import Clip, LogMel, Window
from .spec import PRESETS, FrontendSpec, preset
from .tables import Tables, released

__all__ = [
    "FLOOR_Q9",
    "PRESETS",
    "AudioError",
    "BundleError",
    "CheckpointError",
    "Clip",
    "DataError",
    "EdgeGenreError",
    "ExportError",
    "FrontendSpec",
    "GateError",
    "LogMel",
    "MelStream",
    "MicrophoneError",
    "MissingExtraError",
    "SpecError",
    "Tables",
    "UsageError",
    "Window",
    "active_executor",
    "log_mel",
    "normalise",
    "preset",
    "released",
]
