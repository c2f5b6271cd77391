"""The database's file: whose it is, of which version, one writer, and nothing lost when the disk is full."""

import contextlib
import dataclasses
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library import Analysis, Library, database, schema
from edgegenre_runtime.library.database import lock_for_writing, open_database

DESCRIPTION = {"name": "b", "labels": ["blues", "rock"], "embedding_dims": 3}
ANALYSIS = Analysis(
    size=10,
    mtime_ns=2**60,
    content_hash=b"h" * 32,
    duration_s=2.5,
    label="rock",
    genres=("rock",),
    confidence=0.75,
    probabilities=np.array([0.25, 0.75], np.float32),
    embedding=np.array([1, -2, 0.5], np.float16),
    n_windows=3,
    warnings=("cut",),
)


def pragma(path, name):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def test_a_new_database_says_whose_it_is_and_logs_ahead(tmp_path):
    open_database(tmp_path / "l.sqlite", create=True).close()
    assert pragma(tmp_path / "l.sqlite", "application_id") == schema.APPLICATION_ID
    assert pragma(tmp_path / "l.sqlite", "user_version") == len(schema.MIGRATIONS)
    assert pragma(tmp_path / "l.sqlite", "journal_mode") == "wal"


def test_an_older_version_goes_through_the_steps_it_lacks(tmp_path, monkeypatch):
    path = tmp_path / "l.sqlite"
    with Library.open(path, create=True) as library:
        library.put(b"/a", ANALYSIS, library.add_bundle("0" * 64, DESCRIPTION), 0)
        library.commit()
    n = len(schema.MIGRATIONS)
    steps = (*schema.MIGRATIONS, "CREATE TABLE new_one (x);\nINSERT INTO new_one SELECT size FROM tracks;\n")
    monkeypatch.setattr(database, "MIGRATIONS", steps)
    newer = open_database(path, create=False, version=n + 1)
    assert newer.execute("SELECT x FROM new_one").fetchall() == [(10,)]
    newer.close()
    with pytest.raises(DataError, match=f"is of version {n + 1}, this edgegenre reads up to {n}: update edgegenre"):
        open_database(path, create=False, version=n)


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "l.sqlite"
    open_database(path, create=True).close()
    n = len(schema.MIGRATIONS)
    monkeypatch.setattr(database, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE new_one (x);\nnonsense;\n"))
    with pytest.raises(DataError, match="syntax error"):
        open_database(path, create=False, version=n + 1)
    assert pragma(path, "user_version") == n
    assert sqlite3.connect(path).execute("SELECT 1 FROM sqlite_master WHERE name = 'new_one'").fetchone() is None


def test_files_that_are_no_library_are_refused_and_left_alone(tmp_path):
    text, other = tmp_path / "text.sqlite", tmp_path / "other.sqlite"
    text.write_text("not a database at all, but a long enough text" * 100)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    with pytest.raises(DataError, match="is no SQLite database"):
        Library.open(text, create=True)
    with pytest.raises(DataError, match="database of another program"):
        Library.open(other, create=True)
    assert other.read_bytes() == before
    with pytest.raises(DataError, match="there is no such library"):
        Library.open(tmp_path / "none.sqlite")
    with pytest.raises(DataError, match="there is no folder"):
        Library.open(tmp_path / "none" / "l.sqlite", create=True)
    for path in (tmp_path, Path(), Path(os.devnull)):
        for create in (True, False):
            with pytest.raises(DataError, match="is a folder or a device, no database"):
                Library.open(path, create=create)


def test_a_damaged_database_is_said(tmp_path):
    path = tmp_path / "l.sqlite"
    with Library.open(path, create=True) as library:
        bundle = library.add_bundle("0" * 64, DESCRIPTION)
        for number in range(300):
            library.put(b"/%d" % number, ANALYSIS, bundle, 0)
        library.commit()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DataError, match="the database is damaged"), Library.open(path) as library:
        list(library.tracks())


@pytest.mark.parametrize("change", ["genres = 'x'", "genres = x'00'", "embedding = x'00'", "probabilities = 'text'"])
def test_a_row_that_somebody_edited_is_said(tmp_path, change):
    with Library.open(tmp_path / "l.sqlite", create=True) as library:
        bundle = library.add_bundle("0" * 64, DESCRIPTION)
        library.put(b"/a", ANALYSIS, bundle, 0)
        library.commit()
    connection = sqlite3.connect(tmp_path / "l.sqlite")
    connection.execute(f"UPDATE tracks SET {change}")  # noqa: S608
    connection.commit()
    connection.close()
    with Library.open(tmp_path / "l.sqlite") as library:
        with pytest.raises(DataError, match="the record of track 1 is damaged"):
            list(library.tracks())
        if "genres" not in change:
            with pytest.raises(DataError, match="the record of track 1 is damaged"):
                library.arrays(bundle)


def test_arrays_have_every_row_and_name_the_one_that_is_damaged(tmp_path):
    with Library.open(tmp_path / "l.sqlite", create=True) as library:
        bundle = library.add_bundle("0" * 64, DESCRIPTION)
        n = 2500
        for i in range(n):
            p = None if i % 7 == 0 else np.array([i, 1], np.float32)
            found = dataclasses.replace(
                ANALYSIS, content_hash=i.to_bytes(32, "little"), duration_s=i / 2, probabilities=p,
                embedding=np.array([i % 100, -i % 9, 1], np.float16),
            )  # fmt: skip
            library.put(b"/%d" % i, found, bundle, 0)
        library.commit()
        arrays, numbers = library.arrays(bundle), np.arange(n)
        np.testing.assert_array_equal(arrays.ids, numbers + 1)
        np.testing.assert_array_equal(arrays.contents, numbers)
        np.testing.assert_array_equal(arrays.durations_s, numbers / 2)
        np.testing.assert_array_equal(
            arrays.embeddings, np.column_stack([numbers % 100, -numbers % 9, numbers * 0 + 1])
        )
        np.testing.assert_array_equal(np.isnan(arrays.probabilities), np.repeat(numbers % 7 == 0, 2).reshape(n, 2))
        np.testing.assert_array_equal(arrays.probabilities[numbers % 7 > 0, 0], numbers[numbers % 7 > 0])
        connection = sqlite3.connect(tmp_path / "l.sqlite")
        with contextlib.closing(connection), connection:
            connection.execute("UPDATE tracks SET embedding = zeroblob(2) WHERE id = 1202")
            connection.execute("UPDATE tracks SET embedding = zeroblob(10) WHERE id = 1203")
        with pytest.raises(DataError, match="the record of track 1202 is damaged"):
            library.arrays(bundle)


def test_one_run_at_a_time_changes_a_library(tmp_path):
    path = tmp_path / "l.sqlite"
    code = (
        "import sys, pathlib; from edgegenre_runtime.library.database import lock_for_writing\n"
        "with lock_for_writing(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(DataError, match=rf"another run of edgegenre .* \(process {other.pid}\)"):
            lock_for_writing(path).__enter__()
        other.kill()
        other.wait()
        with lock_for_writing(path):  # nothing is left of a run that was killed
            pass


def test_readers_see_what_is_committed_while_a_scan_writes(tmp_path):
    path = tmp_path / "l.sqlite"
    with Library.open(path, create=True) as writer:
        bundle = writer.add_bundle("0" * 64, DESCRIPTION)
        writer.put(b"/a", ANALYSIS, bundle, 0)
        writer.commit()
        writer.put(b"/b", ANALYSIS, bundle, 0)
        with Library.open(path) as reader:
            assert reader.count() == 1
            writer.commit()
            assert reader.count() == 2


def test_what_is_stored_comes_back(tmp_path):
    path = b"/music/caf\xe9\n\xff.mp3"
    with Library.open(tmp_path / "l.sqlite", create=True) as library:
        assert library.bundles() == []
        with pytest.raises(DataError, match="the library is empty"):
            library.bundle()
        bundle = library.add_bundle("0" * 64, DESCRIPTION)
        assert library.add_bundle("0" * 64, DESCRIPTION) == bundle
        library.put(path, ANALYSIS, bundle, 5)
        library.put(b"/z", Analysis(1, 2, error="not audio"), bundle, 5)
        library.commit()
        track = library.track(os.fsdecode(path))
        assert os.fsencode(track.path) == path
        assert (track.analysis, track.max_windows, track.bundle) == (ANALYSIS, 5, library.bundle())
        np.testing.assert_array_equal(track.analysis.embedding, ANALYSIS.embedding)
        assert track.probability("rock") == 0.75
        assert [t.id for t in library.tracks()] == [track.id]
        (failed,) = library.tracks("error IS NOT NULL")
        assert (failed.analysis.error, failed.probability("rock")) == ("not audio", 0)
        arrays = library.arrays(bundle)
        assert arrays.ids.tolist() == [track.id]
        np.testing.assert_array_equal(arrays.probabilities, [[0.25, 0.75]])
        np.testing.assert_array_equal(arrays.embeddings, [[1, -2, 0.5]])


READ = """
import sys
from edgegenre.cli import main
sys.exit(main(["library", *sys.argv[1:]]))
"""


def as_a_user(*arguments):
    """Run a command without root's right to write everywhere."""
    drop = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"] if os.geteuid() == 0 else []
    return subprocess.run([*before, sys.executable, "-c", READ, *arguments], capture_output=True, text=True)


def test_a_library_that_cannot_be_written_is_read(tmp_path):
    folder = tmp_path / "mounted"
    folder.mkdir()
    path = folder / "100% ?.sqlite"  # characters that mean something in an address
    with Library.open(path, create=True) as library:
        bundle = library.add_bundle("0" * 64, DESCRIPTION)
        library.put(b"/a", Analysis(0, 0, error="broken"), bundle, 0)
        library.commit()
        log = path.with_name(path.name + "-wal").read_bytes()
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = as_a_user("errors", "--db", path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "/a: broken\n", "")
        done = as_a_user("undo", "--db", path)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        folder.chmod(0o755)
        path.with_name(path.name + "-wal").write_bytes(log)  # as a scan that was killed leaves it
        folder.chmod(0o555)
        done = as_a_user("errors", "--db", path)
        assert done.returncode == 2
        assert "the file and its folder must be writable" in done.stderr
    finally:
        folder.chmod(0o755)


def test_a_full_disk_is_one_line_and_keeps_what_was_committed(tmp_path):
    code = (
        "import resource, sys; sys.path[:0] = [sys.argv[2]]; import test_database as t\n"
        "from edgegenre_runtime.library import Library\n"
        "library = Library.open(sys.argv[1], create=True); bundle = library.add_bundle('0' * 64, t.DESCRIPTION)\n"
        "library.put(b'/a', t.ANALYSIS, bundle, 0); library.commit()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "for i in range(100_000): library.put(b'/%d' % i, t.ANALYSIS, bundle, 0); library.commit()\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "l.sqlite", os.path.dirname(__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "free some space and run the same command again" in done.stderr.splitlines()[-1]
    with Library.open(tmp_path / "l.sqlite") as library:
        assert library.count() > 1
