"""Where classes lie, and that a class learned from a few tracks is told from them."""

import io

import numpy as np
import pytest

from edgegenre_export.check.class_statistics import measure_statistics
from edgegenre_runtime.network.personal.class_statistics import STATISTICS, pack_statistics
from edgegenre_runtime.network.personal.head import PersonalClass, PersonalHead, learn_class

D, N_CLASSES = 24, 4


def data(n_tracks=12, n_windows=5, seed=0, n_classes=N_CLASSES):
    """Tracks around a mean for each class, in a space whose axes are of very different sizes."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(np.linspace(-3, 3, D))
    centers = np.random.default_rng(9).normal(0, 2, (n_classes, D))
    truth = np.repeat(np.arange(n_classes), n_tracks)
    tracks = [centers[k] + rng.normal(0, 1, D) + rng.normal(0, 0.5, (n_windows, D)) for k in truth]
    return [(track * sizes + 7).astype(np.float32) for track in tracks], truth


def test_directions_are_unit_vectors_and_classes_are_nearest_to_themselves():
    tracks, truth = data()
    found = measure_statistics(tracks, truth, N_CLASSES)
    assert found.axes.shape == (D, D)
    assert np.linalg.norm(found.means, axis=1) == pytest.approx(np.ones(N_CLASSES), abs=1e-5)
    directions = found.directions(np.concatenate(tracks))
    assert np.linalg.norm(directions, axis=1) == pytest.approx(np.ones(len(directions)), abs=1e-4)
    other, other_truth = data(seed=1)
    near = np.stack([found.directions(track).mean(axis=0) for track in other]) @ found.means.T
    assert (near.argmax(axis=1) == other_truth).mean() > 0.9


def test_windows_within_a_class_spread_equally_in_every_direction():
    tracks, truth = data(n_tracks=200)
    found = measure_statistics(tracks, truth, N_CLASSES)
    placed = np.stack([(track - found.center) @ found.axes for track in tracks])
    within = np.concatenate([placed[truth == k] - placed[truth == k].mean(axis=(0, 1)) for k in range(N_CLASSES)])
    variances = within.reshape(-1, within.shape[-1]).var(axis=0)
    assert variances.max() / variances.min() < 6  # e^12 of the embedding's own; shrinkage keeps the rest


def test_a_held_out_class_is_learned_from_five_tracks():
    tracks, truth = data(n_tracks=20)
    known = [track for track, label in zip(tracks, truth, strict=True) if label < N_CLASSES - 1]
    statistics = measure_statistics(known, truth[: len(known)], N_CLASSES - 1)
    new = tracks[len(known) :]
    head = PersonalHead(statistics, (learn_class("new", new[:5], statistics),))
    assert (head.classes[0].n_tracks, head.classes[0].n_windows) == (5, 25)

    def odds(vector, label):
        """Of the learned class against a network that is sure of ``label``."""
        bundle_logits = np.where(np.arange(N_CLASSES - 1) == label, 3, 0).astype(np.float32)
        return head.logits(vector, bundle_logits)[0] - np.log(np.exp(bundle_logits).sum())

    assert np.mean([odds(track.mean(axis=0), 0) > 0 for track in new[5:]]) > 0.8
    assert np.mean([odds(track.mean(axis=0), k) > 0 for track, k in zip(known, truth, strict=False)]) < 0.1


def test_the_logit_is_the_documented_one():
    tracks, truth = data()
    statistics = measure_statistics(tracks, truth, N_CLASSES)
    mean = np.eye(D, dtype=np.float32)[0]
    head = PersonalHead(statistics, (PersonalClass("x", mean, 1, 5, ""),))
    logits, vector = np.array([1, 2, 3, 4], np.float32), tracks[0][0]
    z = statistics.directions(vector[None])[0].astype(np.float64)
    expected = 12 * z[0] - np.log(np.exp(12 * statistics.means @ z).sum()) + np.log(np.exp(logits).sum()) - 0.7
    assert head.logits(vector, logits) == pytest.approx([expected], abs=1e-4)


@pytest.mark.parametrize("fault", ["one track", "no spread"])
def test_too_little_data_gives_no_statistics(fault):
    tracks, truth = data(n_tracks=2)
    if fault == "one track":
        tracks, truth = tracks[1:], truth[1:]
    else:
        tracks = [np.full((3, D), 1, np.float32) for _ in tracks]
    assert measure_statistics(tracks, truth, N_CLASSES) is None


def test_what_is_written_is_float32_and_small():
    tracks, truth = data()
    packed = pack_statistics(measure_statistics(tracks, truth, N_CLASSES))
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float32)}
    assert len(packed) < 5000
    assert STATISTICS == "class_statistics.npz"
