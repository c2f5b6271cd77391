import errno
import os
from pathlib import Path

import pytest

from edgegenre_runtime.atomic_write import write_together, written_beside
from edgegenre_runtime.errors import DataError


def _write_to_a_full_disk(path: Path) -> None:
    with written_beside(path) as handle:
        handle.write(b"new")
        raise OSError(28, "No space left on device")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(DataError, match="no space left"):
        _write_to_a_full_disk(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    with pytest.raises(DataError, match=r"cannot write \(no such file"), written_beside(tmp_path / "missing" / "a"):
        pass


def test_a_write_sets_the_permissions_asked_for(tmp_path: Path) -> None:
    with written_beside(tmp_path / "a", mode=0o640) as handle:
        handle.write(b"x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_files_that_belong_together_are_replaced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "weights", tmp_path / "about.json"
    write_together({first: b"old", second: b"old"})
    replace = Path.replace

    calls: list[int] = []

    def full(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="no space left"):
            write_together({first: b"new", second: b"new"})
    assert (first.read_bytes(), second.read_bytes()) == (b"old", b"old")

    def checked(self: Path, target: Path) -> Path:
        assert all(part.read_bytes() == b"new" for part in tmp_path.glob(".*.part"))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", checked)
    write_together({first: b"new", second: b"new"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["about.json", "weights"]


@pytest.mark.parametrize("letter", ["x", "é"])
def test_names_as_long_as_names_can_be(tmp_path: Path, letter: str) -> None:
    n = (255 - 1) // len(letter.encode())
    one, other = (tmp_path / (letter * n + last) for last in "ab")
    write_together({one: b"1", other: b"2"})
    assert (one.read_bytes(), other.read_bytes()) == (b"1", b"2")
    assert sorted(tmp_path.iterdir()) == [one, other]
