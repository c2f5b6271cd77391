"""Frozen features under protocols: nothing of the test in the fit, and features kept from one run to the next."""

import dataclasses
import os

import numpy as np
import pytest

from edgegenre.cli import main
from edgegenre.data.feature_cache import load_cache
from edgegenre.train.frozen import protocol_probe
from edgegenre.train.frozen.feature_file import kept_features
from edgegenre.train.frozen.protocol_probe import ProbeResult, probe
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


@pytest.fixture(scope="module")
def many(small_cache):
    """Ninety tracks of three classes and thirty artists; frames are those of the first."""
    cache = load_cache(small_cache, TABLES)
    n, end = 90, int(cache.offsets[1])
    return dataclasses.replace(
        cache,
        frames=cache.frames[:, :end],
        offsets=np.array([0, *[end] * n], np.int64),
        y=np.arange(n) // 3 % 3,
        names=tuple(f"{i}.wav" for i in range(n)),
        groups=tuple(f"artist {i // 3}" for i in range(n)),
        split=np.zeros(n, np.uint8),
    )


@pytest.mark.parametrize(("protocol", "n_splits"), [("random", 2), ("kfold10", 20)])
def test_features_that_tell_the_class_are_right_everywhere(many, protocol, n_splits):
    features = np.eye(3, dtype=np.float32)[many.y]
    result = probe(features, many, protocol, [0, 1], 1.0, is_grouped=True)
    assert result.accuracies == (1.0,) * n_splits
    assert sum(result.n_tracks) == 180 if protocol == "kfold10" else all(result.n_tracks)


def test_features_that_tell_the_artist_help_only_where_artists_are_on_both_sides(many):
    artists = np.array([int(group.split()[1]) for group in many.groups])
    features = np.eye(30, dtype=np.float32)[artists]
    apart, mixed = (probe(features, many, "kfold10", [0], 1.0, is_grouped=grouped) for grouped in (True, False))
    assert mixed.mean > 0.9
    assert apart.mean < 0.5


def test_validation_tracks_are_learned_from_and_test_tracks_are_not(many, monkeypatch):
    seen = []

    def regress(train, y, asked, inverse_penalty):
        seen.append((set(train[:, 0].astype(int)), set(asked[:, 0].astype(int))))
        return np.eye(3, dtype=np.float32)[np.zeros(len(asked), int)]

    monkeypatch.setattr(protocol_probe, "regress", regress)
    probe(np.arange(90, dtype=np.float32)[:, None], many, "kfold10", [3], 1.0, is_grouped=False)
    assert len(seen) == 10
    for train, asked in seen:
        assert train | asked == set(range(90))
        assert not train & asked
    assert set().union(*(asked for _, asked in seen)) == set(range(90))


def test_mean_and_spread():
    result = ProbeResult((0.8, 0.9), (10, 10))
    assert (result.mean, result.spread) == (pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4))
    assert result.describe() == "test 0.8500 ± 0.0707 over 2 splits (0.800, 0.900)"
    assert ProbeResult((0.5,), (100,)).describe() == "test 0.5000 of 100 tracks (95 % interval 0.404 to 0.596)"


def test_features_are_kept_and_not_mistaken_for_others(many, tmp_path):
    weights = tmp_path / "w.npz"
    weights.write_bytes(b"one")
    calls = []

    def compute():
        calls.append(1)
        return np.ones((90, 2), np.float32)

    path, networks = tmp_path / "f.npz", [("artist", weights, 0.5)]
    for _ in range(2):
        assert kept_features(path, many, networks, compute).shape == (90, 2)
    assert calls == [1]
    with pytest.raises(DataError, match="other tracks or networks"):
        kept_features(path, many, [("artist", weights, 0.0)], compute)
    weights.write_bytes(b"two")
    with pytest.raises(DataError, match="other tracks or networks"):
        kept_features(path, many, networks, compute)
    path.write_bytes(b"no file of features")
    with pytest.raises(DataError, match="or damaged"):
        kept_features(path, many, networks, compute)
    os.remove(path)


@pytest.mark.parametrize(
    "words",
    [
        ["--network", "artist"],
        ["--network", "artst=w.npz"],
        ["--network", "artist={w}", "--protocol", "kfold9"],
        ["--network", "artist={w}", "--protocol", "filtered"],
        ["--network", "artist={w}", "--inverse-penalty", "0"],
    ],
)
def test_wrong_words_are_one_line(words, small_cache, tmp_path, capsys):
    weights = tmp_path / "w.npz"
    weights.write_bytes(b"")
    given = [word.format(w=weights) for word in words]
    code = main(["probe", str(small_cache), "--spec", "wide9s", "--features", str(tmp_path / "f.npz"), *given])
    assert code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command(small_cache, tmp_path, capsys, monkeypatch, many):
    weights = tmp_path / "w.npz"
    weights.write_bytes(b"")
    monkeypatch.setattr("edgegenre.data.feature_cache.load_cache", lambda path, tables: many)
    monkeypatch.setattr(protocol_probe, "joined_features", lambda cache, *rest: np.eye(3, dtype=np.float32)[cache.y])
    words = ["--spec", "wide9s", "--network", f"artist={weights}", "--features", str(tmp_path / "f.npz")]
    assert main(["probe", str(small_cache), *words, "--protocol", "random", "--seed", "0", "--seed", "1"]) == 0
    assert "random: test 1.0000 ± 0.0000 over 2 splits" in capsys.readouterr().out
    monkeypatch.setattr(protocol_probe, "joined_features", None)
    assert main(["probe", str(small_cache), *words, "--protocol", "kfold10", "--grouped"]) == 0
    assert "kfold10 grouped: test 1.0000" in capsys.readouterr().out


def test_an_unknown_protocol_is_refused(many):
    with pytest.raises(UsageError, match="unknown"):
        probe(np.zeros((90, 1), np.float32), many, "kfold9", [0], 1.0, is_grouped=False)
