"""Labels of several classes, label paths, and taxonomy files: read, split, cached, refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny import TABLES, tiny_cache

from edgegenre.data.builders.build_cache import build_cache
from edgegenre.data.dataset import Track, make_dataset
from edgegenre.data.feature_cache import load_cache, save_cache
from edgegenre.data.sources import open_dataset
from edgegenre.data.sources.folder import scan_folder
from edgegenre.data.sources.manifest import read_manifest
from edgegenre.data.split import SPLIT_NAMES, split_tracks
from edgegenre.data.taxonomy_file import label_paths, read_taxonomy, with_taxonomy
from edgegenre.toy.dataset import FAMILIES, write_dataset, write_mixtures
from edgegenre_runtime.errors import DataError, UsageError


def dataset(labels):
    return make_dataset([Track(f"{i}", f"{i}", label, f"{i}") for i, label in enumerate(labels)], "x.csv")


def test_semicolons_make_several_labels_and_slashes_paths():
    several = dataset(["rock;blues", "jazz", "blues"])
    assert (several.task, several.labels) == ("multi", ("blues", "jazz", "rock"))
    assert several.tracks[0].labels == ("rock", "blues")
    paths = dataset(["rock/punk", "rock", "rock/metal"])
    assert (paths.task, paths.labels) == ("hierarchy", ("rock", "rock/metal", "rock/punk"))
    assert dataset(["Old-Time / Historic", "rock"]).task == "single"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("rock;", "'rock;' has an empty class"),
        ("rock;;blues", "has an empty class"),
        ("rock; rock", "has a class twice"),
        ("rock//punk", "has an empty name"),
        ("rock/", "has an empty name"),
        ("rock/uncertain", "a class cannot be called 'uncertain'"),
    ],
)
def test_bad_labels_are_refused_with_the_line(tmp_path, label, words):
    path = tmp_path / "m.csv"
    path.write_text(f"path,label\na.wav,jazz\nb.wav,{label}\n")
    with pytest.raises(DataError, match=words):
        read_manifest(path)


def test_several_labels_and_paths_do_not_mix():
    with pytest.raises(DataError, match="the one or the other"):
        dataset(["rock;blues", "rock/punk"])


def test_folders_in_folders_are_paths_where_asked_for(tmp_path):
    for name in ("rock/punk/album/a.wav", "rock/b.wav", "jazz/bop/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [track.label for track in scan_folder(tmp_path).tracks] == ["jazz", "rock", "rock"]
    assert [track.label for track in scan_folder(tmp_path, 2).tracks] == ["jazz/bop", "rock", "rock/punk"]
    assert [track.label for track in scan_folder(tmp_path, 3).tracks] == ["jazz/bop", "rock", "rock/punk/album"]
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,label\na.wav,x\nb.wav,y\n")
    with pytest.raises(UsageError, match="--levels is for a folder"):
        open_dataset(manifest, 2)


def test_a_hierarchy_of_one_leaf_is_refused():
    with pytest.raises(DataError, match="two classes are needed"):
        dataset(["rock", "rock/punk"])


def test_rare_labels_reach_every_part():
    rng = np.random.default_rng(1)
    labels = [";".join(["common", *(["rare"] if i % 20 == 0 else []), f"c{rng.integers(4)}"]) for i in range(100)]
    data = dataset(labels)
    parts = split_tracks(data, 0).by_name()
    assert len(parts) == 100
    for label in data.labels:
        with_label = [parts[track.name] for track in data.tracks if label in track.labels]
        assert set(with_label) == set(SPLIT_NAMES)
        assert with_label.count("train") >= 0.5 * len(with_label)


def test_few_tracks_of_an_inner_node_are_for_training():
    data = dataset(["rock", *["rock/punk", "rock/metal", "jazz"] * 3])
    parts = split_tracks(data, 0).by_name()
    assert parts["0"] == "train"
    with pytest.raises(DataError, match="'pop' has one group of tracks;"):
        split_tracks(dataset(["pop", *["rock/punk", "rock/metal", "jazz"] * 3]), 0)


def test_caches_keep_several_labels(tmp_path):
    manifest = write_mixtures(tmp_path, 40, 3.0, seed=0)
    report = build_cache(read_manifest(manifest), TABLES, tmp_path / "m.npz")
    cache = load_cache(tmp_path / "m.npz", TABLES)
    assert cache.task_kind == "multi"
    assert cache.task().labels == cache.labels
    rows = dict(line.split(",") for line in manifest.read_text().splitlines()[1:])
    for name, row in zip(cache.names, cache.truth(np.arange(40)), strict=True):
        assert ";".join(np.array(cache.labels)[row]) == rows[name]
    assert cache.members.sum(axis=1).max() == 3
    assert (report.cache.members == cache.members).all()
    damaged = dataclasses.replace(cache, members=~cache.members)
    save_cache(damaged, tmp_path / "bad.npz")
    with pytest.raises(DataError, match="do not fit together"):
        load_cache(tmp_path / "bad.npz", TABLES)
    with pytest.raises(UsageError, match="robustness needs one label of several"):
        cache.require_single("robustness")


def test_caches_keep_label_paths(tmp_path):
    write_dataset(tmp_path / "toy", 3, 3.0, 0, in_families=True)
    build_cache(scan_folder(tmp_path / "toy", 2), TABLES, tmp_path / "h.npz")
    cache = load_cache(tmp_path / "h.npz", TABLES)
    assert cache.classes == cache.labels == tuple(sorted(f"{f}/{s}" for f, styles in FAMILIES.items() for s in styles))
    nodes = cache.task().taxonomy.nodes
    assert [nodes[i] for i in cache.truth(np.arange(30))] == [cache.labels[i] for i in cache.y]


TAXONOMY = "label,parent\nrock,\npunk,rock\nmetal,rock\njazz,\n"


def write(path, text):
    path.write_text(text)
    return path


def test_a_taxonomy_file_makes_paths(tmp_path):
    paths = read_taxonomy(write(tmp_path / "t.csv", TAXONOMY))
    assert paths == {"rock": "rock", "punk": "rock/punk", "metal": "rock/metal", "jazz": "jazz"}
    assert label_paths(["punk", "jazz", "metal"], paths, "t") == ("rock/punk", "jazz", "rock/metal")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label,parent\na,b\nb,c\nc,a\n", "in a circle: a → b → c → a"),
        ("label,parent\na,a\n", "in a circle: a → a"),
        ("label,parent\na,\nb,a\nc,\nb,c\n", "line 5: b has two parents, 'a' and 'c'"),
        ("label,parent\na,b\n", "a is below 'b', which has no line"),
        ("label,parent\n,\n", "line 2: the label is empty"),
        ("label,parent\n", "has no labels"),
        ("label\na\n", "missing column parent"),
        ("label,parent\nrock/punk,\n", "names, not paths"),
        ("label,parent\nsilence,\n", "cannot be called 'silence'"),
    ],
)
def test_bad_taxonomies_are_refused(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_taxonomy(write(tmp_path / "t.csv", text))


def test_a_taxonomy_of_other_labels_is_refused(tmp_path):
    paths = read_taxonomy(write(tmp_path / "t.csv", TAXONOMY))
    with pytest.raises(DataError, match="no line for the class 'pop'"):
        label_paths(["punk", "jazz", "metal", "pop"], paths, "t")
    with pytest.raises(DataError, match="rock/metal has no examples"):
        label_paths(["punk", "jazz"], paths, "t")
    with pytest.raises(DataError, match="cannot read the CSV file"):
        read_taxonomy(tmp_path / "none.csv")


def test_a_taxonomy_relabels_a_cache(tmp_path):
    cache = tiny_cache()
    file = write(tmp_path / "t.csv", "label,parent\nhigh,\nlow,high\nmiddle,low\n")
    mapped = with_taxonomy(cache, file)
    assert mapped.labels == ("high", "high/low", "high/low/middle")
    assert mapped.classes == ("high/low/middle",)
    file = write(tmp_path / "t.csv", "label,parent\nmiddle,\nhigh,middle\nlow,middle\n")
    mapped = with_taxonomy(cache, file)
    assert mapped.classes == ("middle/high", "middle/low")
    assert [mapped.labels[i].split("/")[-1] for i in mapped.y] == [cache.labels[i] for i in cache.y]
    with pytest.raises(UsageError, match="has label paths"):
        with_taxonomy(mapped, file)


def test_the_example_taxonomy_is_that_of_the_toy_families():
    paths = read_taxonomy(Path(__file__).parents[3] / "examples" / "gtzan_taxonomy.csv")
    expected = {style: f"{family}/{style}" for family, styles in FAMILIES.items() for style in styles}
    assert paths == expected | {family: family for family in FAMILIES}
