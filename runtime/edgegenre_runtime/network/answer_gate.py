"""Which windows get a genre: the one place for files, pipes and microphones."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.music_detector import DETECTOR_FILE, MusicDetector
from edgegenre_runtime.audio.sound_gate import NOISE, SILENCE
from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import FrontendSpec, Window

from .bundle import Bundle
from .smoothing import DEFAULT_SMOOTH_S, Smoother

__all__ = ["AnswerGate", "read_detector"]

_STEADY = MusicDetector.of(None)


class AnswerGate:
    """Says of the windows of one source whether they are music, and whether the network is sure of the genre.

    Parameters
    ----------
    detector, uncertain_below
        The bundle's.
    spec
        The front-end.
    """

    def __init__(self, detector: MusicDetector, uncertain_below: float, spec: FrontendSpec) -> None:
        self._detector, self._spec = detector, spec
        self.uncertain_below = uncertain_below
        self._confidence = Smoother(DEFAULT_SMOOTH_S)  # what uncertain_below is fitted for

    def hears_music(self, window: Window, *, is_repeated: bool = False) -> bool:
        """Return whether a window is music; where it is not, the confidence starts anew.

        The detector is fitted on whole windows: where less was there and was repeated to fill one, which makes a rhythm
        of anything, only steady noise is told from music.
        """
        detector = _STEADY if is_repeated else self._detector
        is_music = not window.is_silence and detector.hears_music(window, self._spec)
        if not is_music:
            self.reset()
        return is_music

    def is_sure(self, probabilities: npt.NDArray[np.float32], at_s: float) -> bool:
        """Return whether the largest probability, float32 [n_classes] smoothed over 5 s, is high enough for a genre."""
        return bool(self._confidence.push(probabilities, at_s).max() >= self.uncertain_below)

    @staticmethod
    def without_music(windows: Sequence[str]) -> str | None:
        """Return what a clip is whose windows have these labels, at least one, where it is no music; else None.

        Silence or noise, the more frequent of the two, where more than half of the windows are.
        """
        silent, noisy = (sum(label == kind for label in windows) for kind in (SILENCE, NOISE))
        if 2 * (silent + noisy) <= len(windows):
            return None
        return SILENCE if silent >= noisy else NOISE

    def reset(self) -> None:
        """Begin a new stretch of music."""
        self._confidence.reset()


def read_detector(bundle: Bundle) -> MusicDetector:
    """Return a bundle's detector of music, or the rule for steady noise; raises :class:`BundleError` for damage."""
    if DETECTOR_FILE not in bundle.manifest["files"]:
        return _STEADY
    try:
        entry = json.loads(bundle.read(DETECTOR_FILE))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{bundle.root}: {DETECTOR_FILE} is not JSON: export the bundle again") from error
    return MusicDetector.of(entry)
