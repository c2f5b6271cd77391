"""Rendered pieces: the same from one process or several."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edgegenre_export.inputs import toy_music
from edgegenre_export.inputs.toy_music import style_of, toy_pieces


def test_processes_share_the_work_and_the_pieces_are_the_same() -> None:
    alone = toy_pieces(5, 7, 0.5, 22050)
    assert (alone.shape, alone.dtype) == ((5, 11025), np.int16)
    assert np.array_equal(toy_pieces(5, 7, 0.5, 22050, processes=2), alone)
    assert np.array_equal(toy_pieces(1, 7, 0.5, 22050, processes=4), alone[:1])
    assert len({style_of(k) for k in range(10)}) == 10


def test_a_process_that_fails_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "print('noise')"], stdout=subprocess.PIPE)

    alone = toy_pieces(3, 7, 0.5, 22050)
    monkeypatch.setattr(toy_music, "_start_worker", broken)
    assert np.array_equal(toy_pieces(3, 7, 0.5, 22050, processes=2), alone)
