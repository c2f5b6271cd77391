"""Descriptors of sounds whose answer is known."""

import numpy as np
import pytest
import soundfile

from edgegenre.cli import main
from edgegenre.data.descriptors import KINDS, describe
from edgegenre_runtime.errors import AudioError, UsageError
from edgegenre_runtime.frontend import Clip

RATE = 22050


def clip_of(x):
    return Clip(pcm=np.rint(np.clip(x, -1, 1) * 32767).astype(np.int16), sample_rate_hz=RATE)


def tone(hz, seconds=3.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


@pytest.mark.parametrize(
    ("kind", "rows"), [("mel", 128), ("mfcc", 20), ("chroma", 12), ("contrast", 7), ("tempogram", 384), ("tonnetz", 6)]
)
def test_shapes(kind, rows):
    values = describe(clip_of(tone(440) + tone(660)), kind)
    assert values.shape == (rows, 1 + 3 * RATE // 512)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


def test_chroma_of_a_is_a():
    assert (describe(clip_of(tone(440)), "chroma")[:, 5:-5].argmax(axis=0) == 9).all()


def test_mel_is_loudest_at_the_tone():
    loud, soft = (describe(clip_of(tone(hz)), "mel").mean(axis=1).argmax() for hz in (200, 4000))
    assert loud < soft
    assert describe(clip_of(tone(440)), "mel").max() == 0


def test_tempogram_of_120_beats_a_minute():
    clicks = np.zeros(10 * RATE)
    for start in range(0, len(clicks) - 400, RATE // 2):
        clicks[start : start + 400] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(400) / RATE)
    mean = describe(clip_of(clicks), "tempogram")[:, 100:300].mean(axis=1)
    assert 10 + mean[10:40].argmax() in (21, 22)  # half a second is 21.5 frames


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_noisy_and_quiet_clips(kind):
    rng = np.random.default_rng(0)
    for x in (rng.normal(0, 0.2, 2048), np.r_[np.zeros(30000), 1e-4], np.r_[1.0, np.zeros(5000)]):
        assert np.isfinite(describe(clip_of(x), kind)).all()


def test_wrong_input():
    with pytest.raises(UsageError, match="chroma, contrast, mel"):
        describe(clip_of(tone(440)), "loudness")
    with pytest.raises(AudioError, match="too short, 2047 samples"):
        describe(clip_of(tone(440)[:2047]), "mel")
    with pytest.raises(AudioError, match="silent"):
        describe(clip_of(np.zeros(5000)), "mel")


def test_the_command(tmp_path, capsys):
    soundfile.write(tmp_path / "$a_.wav", tone(440), RATE)
    for kind in KINDS:
        out = tmp_path / f"{kind}.png"
        assert main(["features", str(tmp_path / "$a_.wav"), "--kind", kind, "--plot", str(out)]) == 0
        assert out.read_bytes().startswith(b"\x89PNG")
    assert "tonnetz, 6 rows" in capsys.readouterr().out
    assert main(["features", str(tmp_path / "$a_.wav"), "--plot", str(tmp_path / "no" / "x.png")]) == 2
    assert main(["features", str(tmp_path / "none.wav")]) == 2
