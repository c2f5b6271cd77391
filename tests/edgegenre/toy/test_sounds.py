"""Sounds that are no music: seeded, in range, each of its own kind."""

import numpy as np
import pytest

from edgegenre.toy.sounds import KINDS, render_sound
from edgegenre_runtime.errors import UsageError


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_seeded_and_keeps_its_level(kind):
    a, b, c = (render_sound(kind, seed, 3.0) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert (a.dtype, a.shape) == (np.int16, (66150,))
    peak_db = 20 * np.log10(np.abs(a).max() / 32768)
    low, high = (-65, -49) if kind == "room" else (-31, -5)
    assert low < peak_db < high


def test_a_hum_has_lines_and_hiss_has_none():
    def peakiness(kind):
        power = np.abs(np.fft.rfft(render_sound(kind, 3, 4.0).astype(float))) ** 2
        return power.max() / power.mean()

    assert peakiness("hum") > 20 * peakiness("hiss")


@pytest.mark.parametrize(("kind", "seconds"), [("music", 1.0), ("hum", 0.0), ("hum", 601.0)])
def test_what_cannot_be_rendered_is_refused(kind, seconds):
    with pytest.raises(UsageError):
        render_sound(kind, 0, seconds)
