"""Files to write are refused before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgegenre.commands.common import check_output
from edgegenre_runtime.errors import DataError


def test_a_folder_that_is_not_writable_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output(tmp_path / "page.html")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and real(path, mode))  # root may write all
    with pytest.raises(DataError, match=r"page\.html: cannot write, the folder .* is not writable"):
        check_output(tmp_path / "page.html")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write, it is a folder"):
        check_output(tmp_path)
