"""The released tables: what the design gives, hashed, and refused when damaged."""

import json

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.frontend import PRESETS, FrontendSpec, Tables, preset, released
from edgegenre_runtime.frontend.fft import digit_reversal, twiddles_q31
from edgegenre_runtime.frontend.tables import design, mel_edges_hz, mel_weights


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_released_is_what_the_design_gives(name):
    assert released(name).to_json() == design(preset(name)).to_json()


def test_presets_differ_in_their_hop_alone():
    seed, wide = released("seed3s"), released("wide9s")
    assert seed.spec_hash != wide.spec_hash
    assert wide.spec.hop_samples == 3 * seed.spec.hop_samples
    assert np.array_equal(seed.band_weight, wide.band_weight)
    assert (round(seed.spec.window_s, 2), round(wide.spec.window_s, 2)) == (3.04, 8.94)


def test_mel_weights_are_librosas():
    ours, theirs = (
        mel_weights(preset("seed3s")),
        librosa.filters.mel(sr=22050, n_fft=2048, n_mels=128, dtype=np.float64),
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


def test_mel_edges_are_librosas():
    expected = librosa.mel_frequencies(n_mels=130, fmin=0, fmax=11025)
    np.testing.assert_allclose(mel_edges_hz(preset("wide9s")), expected, rtol=1e-12, atol=1e-9)


def test_integer_weights_are_the_float_ones_to_half_a_unit_of_the_peak():
    tables, exact = released("seed3s"), mel_weights(preset("seed3s"))
    first = 0
    for m in range(128):
        n = int(tables.band_length[m])
        row = np.zeros(exact.shape[1])
        row[tables.band_start[m] : tables.band_start[m] + n] = tables.band_weight[first : first + n]
        np.testing.assert_allclose(row / 65535, exact[m] / exact[m].max(), rtol=0, atol=0.5 / 65535 + 1e-12)
        first += n


def test_twiddles_follow_the_circle():
    tables = released("seed3s")
    index = np.arange(2048)
    cos, sin = twiddles_q31(tables, index)
    np.testing.assert_allclose(cos / 2**31, np.cos(2 * np.pi * index / 2048), rtol=0, atol=6e-10)
    np.testing.assert_allclose(sin / 2**31, np.sin(2 * np.pi * index / 2048), rtol=0, atol=6e-10)


def test_digit_reversal_by_hand():
    assert digit_reversal(16).tolist() == [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]
    # 1024 = 4**5: 27 is 00123 in base 4, reversed 32100
    assert digit_reversal(1024)[27] == 3 * 256 + 2 * 64 + 1 * 16


def test_json_round_trip():
    tables = released("wide9s")
    again = Tables.from_json(tables.to_json())
    assert again.spec == tables.spec
    assert again.spec_hash == tables.spec_hash


def damaged(change):
    content = json.loads(released("seed3s").to_json())
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(spec_hash="0" * 64), "do not match their hash"),
        (lambda c: c["window_q15"].__setitem__(7, 1), "do not match their hash"),
        (lambda c: c["spec"].update(hop_samples=513), "do not match their hash"),
        (lambda c: c.update(format_version=2), "format 2"),
        (lambda c: c["spec"].update(version=2), "version 2 is unknown"),
        (lambda c: c["spec"].update(color="blue"), "unknown or missing keys: color"),
        (lambda c: c["spec"].pop("top_db"), "unknown or missing keys: top_db"),
        (lambda c: c["spec"].update(sample_rate_hz=10**400), "sample_rate_hz is out of range"),
        (lambda c: c.update(color=1), "cannot be read"),
        (lambda c: c.pop("window_q15"), "cannot be read"),
        (lambda c: c["window_q15"].pop(), "do not fit"),
        (lambda c: c["window_q15"].__setitem__(0, 10**9), "cannot be read"),
        (lambda c: c.update(window_q15="abc"), "cannot be read"),
    ],
)
def test_damaged_tables_are_refused(change, says):
    with pytest.raises(SpecError, match=says):
        Tables.from_json(damaged(change))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", released("seed3s").to_json()[:5000]])
def test_text_that_is_no_table_is_refused(text):
    with pytest.raises(SpecError):
        Tables.from_json(text)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_table_are_refused(data):
    with pytest.raises(SpecError):
        Tables.from_json(data)


@pytest.mark.parametrize(
    "values",
    [
        {"n_fft": 1024},
        {"n_fft": 2047},
        {"n_fft": 0},
        {"hop_samples": 0},
        {"n_mels": 0},
        {"n_mels": 128.0},
        {"fmax_hz": 11026},
        {"fmin_hz": -1},
        {"fmin_hz": 11025},
        {"top_db": 5},
        {"silence_dbfs": 1},
        {"version": 2},
        {"frames_per_window": 0},
        {"sample_rate_hz": True},
    ],
)
def test_specs_outside_what_is_allowed(values):
    with pytest.raises(SpecError):
        FrontendSpec(**values)


def test_unknown_preset_names_the_known():
    with pytest.raises(SpecError, match="seed3s, wide9s"):
        released("seed4s")


def test_too_many_bands_for_the_fft():
    with pytest.raises(SpecError, match="too many"):
        design(FrontendSpec(n_fft=512, n_mels=256))
