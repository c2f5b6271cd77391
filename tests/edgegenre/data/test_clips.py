from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.data.clips import read_clip
from edgegenre_runtime.errors import AudioError


def _tone(seconds: float, rate_hz: int) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.int16)


def test_a_clip_is_the_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", _tone(0.5, 22050), 22050)
    clip = read_clip(tmp_path / "a.flac", 22050)
    assert clip.sample_rate_hz == 22050
    np.testing.assert_array_equal(clip.pcm, _tone(0.5, 22050))


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype"),
    [(22050, 1, "PCM_U8"), (96000, 1, "PCM_24"), (48000, 6, "PCM_16"), (8000, 2, "ULAW")],
)
def test_odd_but_legal_files_are_read(tmp_path: Path, rate_hz: int, channels: int, subtype: str) -> None:
    tone = np.repeat(_tone(0.5, rate_hz)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "a.wav", tone, rate_hz, subtype=subtype)
    pcm = read_clip(tmp_path / "a.wav", 22050).pcm
    assert abs(pcm.size - 11025) <= 1
    difference = pcm[200:-200] - _tone(0.5, 22050)[200 : pcm.size - 200].astype(int)
    assert np.abs(difference).max() < 300


def _broken(folder: Path) -> dict[str, str]:
    """Write broken files; returns the reason expected for each."""
    soundfile.write(folder / "good.wav", _tone(1.0, 22050), 22050)
    (folder / "truncated.wav").write_bytes((folder / "good.wav").read_bytes()[:20_000])
    soundfile.write(folder / "cut.mp3", _tone(3.0, 22050), 22050)
    (folder / "cut.mp3").write_bytes((folder / "cut.mp3").read_bytes()[:-2000])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("la la la\n" * 99)
    (folder / "song.xyz").write_bytes(b"123")
    soundfile.write(folder / "zero.wav", np.zeros(0, np.int16), 22050)
    soundfile.write(folder / "short.wav", np.zeros(100, np.int16), 22050)
    bad = np.zeros(4000, np.float32)
    bad[7] = np.nan
    soundfile.write(folder / "nan.wav", bad, 22050, subtype="FLOAT")
    bad[7] = np.inf
    soundfile.write(folder / "inf.wav", bad, 22050, subtype="FLOAT")
    return {
        "truncated.wav": "truncated",
        "cut.mp3": "truncated",
        "empty.wav": "the file is empty",
        "text.wav": "not audio",
        "song.xyz": "unknown extension",
        "zero.wav": "contains no audio",
        "short.wav": "too short, 100 samples at 22050 Hz; 2048 are needed",
        "nan.wav": "1 samples are NaN or infinite",
        "inf.wav": "1 samples are NaN or infinite",
        "missing.wav": "no such file",
    }


def test_broken_files_are_refused_by_name_and_reason(tmp_path: Path) -> None:
    for name, reason in _broken(tmp_path).items():
        with pytest.raises(AudioError, match=reason) as caught:
            read_clip(tmp_path / name, 22050, min_samples=2048)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
