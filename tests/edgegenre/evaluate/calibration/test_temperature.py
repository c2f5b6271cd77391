"""Temperature scaling: the temperature of a distorted softmax is found again."""

import numpy as np
import pytest

from edgegenre.evaluate.calibration.temperature import apply_temperature, fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_distorted_is_found(temperature):
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.full(4, 0.7), 20_000).astype(np.float32)
    truth = (rng.random((len(honest), 1)) > np.cumsum(honest, axis=1)).sum(axis=1).clip(0, 3)
    shown = apply_temperature(honest, 1 / temperature)
    assert fit_temperature(lambda t: apply_temperature(shown, t), truth) == pytest.approx(temperature, rel=0.05)


def test_one_changes_nothing_and_the_best_class_stays():
    p = np.random.default_rng(1).dirichlet(np.ones(3), 50).astype(np.float32)
    np.testing.assert_allclose(apply_temperature(p, 1.0), p, atol=1e-6)
    assert np.array_equal(apply_temperature(p, 3.0).argmax(axis=1), p.argmax(axis=1))
    np.testing.assert_allclose(apply_temperature(p, 0.3).sum(axis=1), 1, atol=1e-5)
