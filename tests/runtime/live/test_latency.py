"""Percentiles of the latest results."""

import pytest

from edgegenre_runtime.live.latency import Latency


def test_latency_percentiles_are_of_the_latest():
    latency = Latency()
    assert latency.percentiles_ms() == {}
    for i in range(5000):
        latency.add(i, 1.0, 2.0, 3.0)
    found = latency.percentiles_ms()
    assert found["capture"][0] == pytest.approx(4999 - 4096 / 2, abs=1)
    assert found["total"][2] == pytest.approx(found["capture"][2] + 6)
    assert "mel 1.0/1.0/1.0" in latency.describe()
