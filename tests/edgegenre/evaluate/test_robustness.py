"""Robustness: what each condition does to sound and log-mels, and the tables of a model."""

import json

import numpy as np
import pytest
import soundfile

from edgegenre.checkpoint import load_checkpoint
from edgegenre.cli import main
from edgegenre.data.feature_cache import load_cache
from edgegenre.evaluate.robustness import AUDIO_CONDITIONS, CACHE_CONDITIONS, audio_robustness, cache_robustness
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")
RATE_HZ = 22050


@pytest.fixture(scope="module")
def pcm():
    rng = np.random.default_rng(0)
    return np.rint(np.convolve(rng.normal(0, 2000, 12 * RATE_HZ), np.ones(2) / 2, "same")).astype(np.int16)


def changed(name, pcm):
    return AUDIO_CONDITIONS[name](pcm, RATE_HZ, np.random.default_rng(1))


def level_db(pcm, low_hz, high_hz):
    spectrum = np.abs(np.fft.rfft(pcm.astype(float))) ** 2
    hz = np.fft.rfftfreq(len(pcm), 1 / RATE_HZ)
    return 10 * np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].mean() + 1e-9)


def test_gain(pcm):
    assert np.abs(changed("gain -20 dB", pcm) - pcm / 10).max() <= 0.5
    loud = changed("gain +20 dB, clipped", pcm)
    assert set(loud[np.abs(pcm.astype(int)) > 3277]) == {-32768, 32767}
    quiet = np.abs(pcm.astype(int)) < 3000
    assert np.array_equal(loud[quiet], pcm[quiet] * 10)


def test_noise_is_20_db_below(pcm):
    noise = changed("white noise, 20 dB SNR", pcm).astype(float) - pcm
    assert 10 * np.log10((pcm.astype(float) ** 2).mean() / (noise**2).mean()) == pytest.approx(20, abs=0.1)


def test_band_limit(pcm):
    made = changed("nothing above 8 kHz", pcm)
    assert level_db(made, 8100, 11025) < level_db(pcm, 8100, 11025) - 40
    assert level_db(made, 100, 7900) == pytest.approx(level_db(pcm, 100, 7900), abs=0.1)


def test_mp3_is_64_kbit_and_resembles_the_original(pcm):
    made = changed("MP3, 64 kbit/s", pcm)
    assert made.dtype == np.int16
    assert abs(len(made) - len(pcm)) < RATE_HZ // 5
    assert not np.array_equal(made[: len(pcm)], pcm)
    assert level_db(made, 200, 5000) == pytest.approx(level_db(pcm, 200, 5000), abs=1)
    assert level_db(made, 10800, 11025) < level_db(pcm, 10800, 11025) - 10, "64 kbit/s leaves the top out"


def test_microphone_lacks_bass_and_has_a_peak(pcm):
    made = changed("small USB microphone", pcm)
    change = [level_db(made, f, 1.1 * f) - level_db(pcm, f, 1.1 * f) for f in (60, 1000, 4300, 10000)]
    assert change[0] < -9
    assert change[2] > change[1] + 3
    assert change[3] < -6


def test_the_caches_conditions():
    db = np.random.default_rng(2).normal(40, 8, (128, 200)).astype(np.float32)
    made = {name: f(db, TABLES.spec, np.random.default_rng(3)) for name, f in CACHE_CONDITIONS.items()}
    assert np.array_equal(made["as it is"], db)
    assert made["gain +20 dB"] - db == pytest.approx(20, abs=1e-4)
    noise = 10 ** (made["colored noise, 20 dB SNR"] / 10) - 10 ** (db / 10)
    assert (10 ** (db / 10)).mean() / noise.mean() == pytest.approx(100, rel=0.02)
    assert (made["nothing above 8 kHz"][-4:] < db[-4:] - 20).all()
    assert np.array_equal(made["nothing above 8 kHz"][:100], db[:100])
    curve = made["small USB microphone"] - db
    assert np.ptp(curve, axis=1).max() < 1e-3
    assert curve[:, 0].argmax() > 64


def test_gain_changes_no_answer_and_noise_is_the_same_for_every_model(small_cache):
    cache = load_cache(small_cache, TABLES)
    heard = []

    def predict(cells):
        heard.append(cells)
        loud = cells.astype(np.float32).mean(axis=2)  # the class is the third of the bands that is loudest
        return np.stack([part.mean(axis=1) for part in np.array_split(loud, 3, axis=1)], axis=1) / 255 + 0.5

    tracks = cache.tracks_of("test")
    rows = {row.condition: row for row in cache_robustness(predict, cache, tracks, TABLES)}
    assert rows["as it is"].n_tracks == len(tracks)
    for name in ("as it is", "gain +20 dB", "gain -20 dB"):
        assert (rows[name].n_changed, rows[name].mean_shift) == (0, pytest.approx(0, abs=2e-3))
        assert rows[name].accuracy == rows["as it is"].accuracy
    assert rows["nothing above 8 kHz"].mean_shift > 0.01
    first = heard.copy()
    heard.clear()
    cache_robustness(predict, cache, tracks, TABLES)
    assert all(np.array_equal(a, b) for a, b in zip(first, heard, strict=True))


def test_recordings_take_their_class_from_folder_or_name(tmp_path, pcm):
    (tmp_path / "jazz").mkdir()
    soundfile.write(tmp_path / "jazz" / "1.wav", pcm, RATE_HZ)
    soundfile.write(tmp_path / "blues.2.wav", pcm, RATE_HZ)

    def always_blues(cells):
        return np.tile(np.float32([0.9, 0.1]), (len(cells), 1))

    rows = audio_robustness(always_blues, tmp_path, ("blues", "jazz"), TABLES)
    assert [row.condition for row in rows] == list(AUDIO_CONDITIONS)
    assert {row.accuracy for row in rows} == {0.5}
    soundfile.write(tmp_path / "polka.wav", pcm, RATE_HZ)
    with pytest.raises(DataError, match=r"polka.wav: neither its folder .* blues, jazz"):
        audio_robustness(always_blues, tmp_path, ("blues", "jazz"), TABLES)


def test_command_line(small_checkpoints, small_cache, tmp_path, pcm, capsys):
    label = load_checkpoint(small_checkpoints[0]).labels[0]
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / f"{label}.1.wav", pcm, RATE_HZ)
    page = tmp_path / "page.html"
    given = [str(small_checkpoints[0]), str(small_cache), "--robustness", "--audio", str(tmp_path / "clips")]
    assert main(["evaluate", *given, "--report", str(page)]) == 0
    text, html = capsys.readouterr().out, page.read_text()
    for condition in [*AUDIO_CONDITIONS, *CACHE_CONDITIONS]:
        assert condition in text
        assert condition in html
    assert main(["evaluate", *given, "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["robustness"]
    assert [len(rows) for rows in tables.values()] == [len(CACHE_CONDITIONS), len(AUDIO_CONDITIONS)]
    assert main(["evaluate", *given[:2], "--audio", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
