"""The flat file of embeddings: the answers of a search of the whole database, and never an old file's."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library import Analysis, Library
from edgegenre_runtime.library.playlists import embedding_file
from edgegenre_runtime.library.playlists.embedding_file import nearest_tracks

DIMS, ROWS = 24, 700


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library whose embeddings lie close together, as those of a network do."""
    monkeypatch.setattr(embedding_file, "WORTHWHILE_ROWS", 100)
    rng = np.random.default_rng(0)
    with Library.open(tmp_path / "l.sqlite", create=True) as opened:
        put(opened, np.abs(rng.normal(1, 0.4, (ROWS, DIMS))))
        yield opened


def put(library, vectors, name="a"):
    labels = ["blues", "rock"]
    bundle = library.add_bundle(name * 64, {"name": name, "labels": labels, "embedding_dims": DIMS})
    for i, vector in enumerate(np.asarray(vectors, np.float16)):
        p = np.array([0.5, 0.5], np.float32)
        found = Analysis(
            1, i, bytes(32), label="rock", genres=("rock",), probabilities=p, embedding=vector, n_windows=1
        )
        library.put(f"/{name}{i}.mp3".encode(), found, bundle, 0)
    library.commit()


def points(n=3, seed=1):
    found = np.abs(np.random.default_rng(seed).normal(1, 0.4, (DIMS, n)))
    return (found / np.linalg.norm(found, axis=0)).astype(np.float32)


def by_the_file(library, n=20, seed=1):
    return nearest_tracks(library, library.bundle(), points(seed=seed), n)


def by_definition(library, n=20, seed=1):
    """The definition: every cosine, in float64."""
    arrays = library.arrays(library.bundle())
    rows = arrays.embeddings.astype(np.float64)
    cosines = rows @ points(seed=seed) / np.linalg.norm(rows, axis=1, keepdims=True)
    return [arrays.ids[np.argsort(-column, kind="stable")[:n]] for column in cosines.T]


def beside(library):
    return library.path.with_name("l.sqlite.embeddings")


def loads(library, monkeypatch):
    """Return a list that grows by one for every loading of all embeddings."""
    found, real = [], type(library).arrays
    monkeypatch.setattr(type(library), "arrays", lambda *arguments: found.append(1) or real(*arguments))
    return found


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_answer_is_that_of_all_rows_and_few_are_compared(library, monkeypatch):
    compared, real = [], type(library).embeddings
    monkeypatch.setattr(type(library), "embeddings", lambda *of: compared.append(len(of[2])) or real(*of))
    loaded = loads(library, monkeypatch)
    for seed in range(5):
        found = by_the_file(library, seed=seed)
        assert not loaded
        assert equal(found, by_definition(library, seed=seed))
        loaded.clear()
    assert beside(library).stat().st_size == 52 + 16 * ROWS + 4 * DIMS + 8 * 2 + ROWS * DIMS
    assert 20 <= max(compared) < ROWS / 4
    assert all(set(ids) == set(range(1, ROWS + 1)) for ids in by_the_file(library, n=ROWS + 5))


def test_tracks_closer_than_int8_can_tell_are_compared_by_what_the_database_holds(tmp_path, monkeypatch):
    """Two crowds far from each other, so that the steps of int8 are wide, and close within."""
    monkeypatch.setattr(embedding_file, "WORTHWHILE_ROWS", 100)
    rng = np.random.default_rng(2)
    crowds = np.repeat(np.eye(2, DIMS), 200, axis=0) + rng.normal(0, 0.002, (400, DIMS))
    with Library.open(tmp_path / "l.sqlite", create=True) as library:
        put(library, crowds)
        for row in range(0, 400, 20):
            point = np.asarray(crowds[row : row + 1].T / np.linalg.norm(crowds[row]), np.float32)
            (found,) = nearest_tracks(library, library.bundle(), point, 3)
            rows = library.arrays(library.bundle()).embeddings.astype(np.float64)
            cosines = rows @ point[:, 0] / np.linalg.norm(rows, axis=1)
            np.testing.assert_allclose(cosines[found - 1], np.sort(cosines)[::-1][:3], atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1e-3, 1.0, 1000.0]), n=st.integers(1, 40))
def test_any_embeddings(tmp_path_factory, seed, scale, n):
    rng = np.random.default_rng(seed)
    vectors = (rng.standard_cauchy((150, DIMS)) * scale).clip(-60000, 60000)
    vectors[rng.random(150) < 0.05] = 0
    vectors[rng.random(150) < 0.1] = vectors[0]
    point = points(1, seed)
    path = tmp_path_factory.mktemp("any") / "l.sqlite"
    with pytest.MonkeyPatch.context() as patch, Library.open(path, create=True) as library:
        patch.setattr(embedding_file, "WORTHWHILE_ROWS", 100)
        put(library, vectors)
        (found,) = nearest_tracks(library, library.bundle(), point, n)
        arrays = library.arrays(library.bundle())
    rows = arrays.embeddings.astype(np.float64)
    cosines = dict(zip(arrays.ids, rows @ point[:, 0] / np.maximum(np.linalg.norm(rows, axis=1), 1e-12), strict=True))
    wanted = sorted(cosines.values(), reverse=True)[:n]
    np.testing.assert_allclose([cosines[row] for row in found], wanted, atol=1e-6)  # equal ones in any order
    assert len(set(found)) == n


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tracks SET embedding = (SELECT embedding FROM tracks WHERE id = 5) WHERE id = 9",
        "UPDATE tracks SET is_gone = 1 WHERE id < 300",
        "UPDATE tracks SET error = 'broken' WHERE id % 2",
        "DELETE FROM tracks WHERE id % 3 = 0",
        "INSERT INTO tracks SELECT 9999, x'2f', size, mtime_ns, content_hash, scanned_at, is_gone, bundle, "
        "max_windows, n_windows, duration_s, label, genres, confidence, top, probabilities, embedding, warnings, error "
        "FROM tracks WHERE id = 7",
    ],
)
def test_a_file_of_another_state_is_written_anew(library, change):
    by_the_file(library)
    before = beside(library).read_bytes()
    library._run(change)  # whoever does it, edgegenre or another program
    library.commit()
    assert equal(by_the_file(library), by_definition(library))
    assert beside(library).read_bytes() != before
    written = beside(library).stat().st_mtime_ns
    by_the_file(library)
    assert beside(library).stat().st_mtime_ns == written


def test_a_scan_that_finds_nothing_new_leaves_it(library):
    by_the_file(library)
    written = beside(library).stat().st_mtime_ns
    library._run("UPDATE tracks SET mtime_ns = mtime_ns + 1, scanned_at = '2030'")
    library.commit()
    by_the_file(library)
    assert beside(library).stat().st_mtime_ns == written


def test_another_bundle_gets_a_file_of_its_own(library):
    by_the_file(library)
    put(library, np.random.default_rng(3).normal(size=(150, DIMS)), "b")
    assert library.bundle().name == "b"
    assert equal(by_the_file(library), by_definition(library))


@pytest.mark.parametrize("damage", ["cut", "longer", "header", "empty"])
def test_a_damaged_file_is_written_anew(library, damage):
    by_the_file(library)
    content = beside(library).read_bytes()
    damaged = {"cut": content[:-9], "longer": content + b"x", "header": content[:20], "empty": content[:9]}[damage]
    beside(library).write_bytes(damaged)
    assert equal(by_the_file(library), by_definition(library))
    assert beside(library).read_bytes() == content


@pytest.mark.parametrize("damage", [-1, 1, 64])
def test_a_damaged_byte_is_noticed_wherever_it_is(library, monkeypatch, damage):
    loaded, wanted = loads(library, monkeypatch), by_definition(library)
    by_the_file(library)
    loaded.clear()
    content = beside(library).read_bytes()
    for position in [*range(0, 52, 3), *range(52, len(content), 97), len(content) - 1]:
        damaged = bytearray(content)
        damaged[position] = (damaged[position] + damage) % 256
        beside(library).write_bytes(damaged)
        assert equal(by_the_file(library), wanted)
        is_ours = position >= 7  # without its name it is somebody else's
        assert (beside(library).read_bytes() == content, not loaded) == (is_ours, is_ours), position
        loaded.clear()


def test_a_file_of_an_older_version_is_written_anew(library):
    by_the_file(library)
    content = beside(library).read_bytes()
    beside(library).write_bytes(b"EGEMBED1" + content[8:48])
    by_the_file(library)
    assert beside(library).read_bytes() == content


def test_a_file_that_is_cut_meanwhile_is_not_believed(library, monkeypatch):
    by_the_file(library)
    content = beside(library).read_bytes()
    loaded, real = loads(library, monkeypatch), embedding_file._read

    def cut(*arguments):
        os.truncate(beside(library), len(content) // 2)
        return real(*arguments)

    monkeypatch.setattr(embedding_file, "_read", cut)
    found = by_the_file(library)
    assert loaded
    assert equal(found, by_definition(library))


def test_somebody_elses_file_is_left_alone(library, monkeypatch):
    beside(library).write_bytes(b"my notes")
    loaded = loads(library, monkeypatch)
    found = by_the_file(library)
    assert loaded
    assert equal(found, by_definition(library))
    assert beside(library).read_bytes() == b"my notes"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_where_it_cannot_be_written_all_is_loaded(library, monkeypatch, error):
    def refuse(*arguments):
        raise error

    monkeypatch.setattr(embedding_file, "_write", refuse)
    loaded = loads(library, monkeypatch)
    found = by_the_file(library)
    assert loaded
    assert equal(found, by_definition(library))
    assert not beside(library).exists()
    assert not list(beside(library).parent.glob(".*"))


def test_a_damaged_row_is_named(library):
    library._run("UPDATE tracks SET embedding = x'00' WHERE id = 17")
    library.commit()
    with pytest.raises(DataError, match="the record of track 17 is damaged"):
        by_the_file(library)
    assert not beside(library).exists()


def test_a_small_library_has_none(library, monkeypatch):
    monkeypatch.setattr(embedding_file, "WORTHWHILE_ROWS", 1000)
    assert equal(by_the_file(library), by_definition(library))
    assert not beside(library).exists()
