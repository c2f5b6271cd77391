"""The bundle: whole or not at all, and every byte checked before it is used."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import check_destination, read_bundle, write_bundle

TABLES = released("seed3s")
LABELS = ("blues", "metal", "hip hop")
FILES = {"model_int8.tflite": b"model" * 1000, "c/mel.h": b"#pragma once\n"}
ALL_FILES = ("manifest.json", "labels.txt", "frontend.json", "model_int8.tflite", "c/mel.h")


def write(out: Path, model: bytes = FILES["model_int8.tflite"]) -> Path:
    return write_bundle(
        out,
        {**FILES, "model_int8.tflite": model},
        tables=TABLES,
        labels=LABELS,
        about={"metrics": [{"name": "accuracy", "value": 0.5, "command": "edgegenre evaluate"}]},
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle")


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


def read_everything(path: Path) -> None:
    bundle = read_bundle(path)
    for name in bundle.manifest["files"]:
        bundle.read(name)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(BundleError) as caught:
        read_everything(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("as_zip", [False, True])
def test_reads_what_was_written(bundle: Path, as_zip: bool) -> None:
    read = read_bundle(zipped(bundle) if as_zip else bundle)
    assert read.labels == LABELS
    assert read.spec_hash == read.tables.spec_hash == TABLES.spec_hash
    assert {name: read.read(name) for name in FILES} == FILES
    assert read.manifest["metrics"][0]["command"] == "edgegenre evaluate"


def test_writing_twice_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other")
    assert all((bundle / name).read_bytes() == (other / name).read_bytes() for name in ALL_FILES)


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("name", [name for name in ALL_FILES if name != "manifest.json"])
def test_changed_byte_is_refused(bundle: Path, name: str, as_zip: bool) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    refused(zipped(bundle) if as_zip else bundle, name, "copy the bundle again")


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("name", ALL_FILES)
def test_missing_file_is_refused(bundle: Path, name: str, as_zip: bool) -> None:
    (bundle / name).unlink()
    refused(zipped(bundle) if as_zip else bundle, name, "missing")


def test_truncated_model_is_refused(bundle: Path) -> None:
    os.truncate(bundle / "model_int8.tflite", 100)
    refused(bundle, "model_int8.tflite")


def test_longer_model_is_refused(bundle: Path) -> None:
    with (bundle / "model_int8.tflite").open("ab") as file:
        file.write(b"more")
    refused(bundle, "model_int8.tflite")


def test_file_that_the_manifest_does_not_list_is_not_read(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"has no notes\.txt"):
        read_bundle(bundle).read("notes.txt")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format_version": 1}, r"format 1; this edgegenre reads 2: export it again"),
        ({"format_version": None}, "format None"),
        ({"spec_hash": "0" * 64}, "frontend.json"),
        ({"spec_hash": 7}, "manifest.json"),
        ({"labels": 4}, "labels.txt"),
        ({"files": {"../../etc/passwd": {"sha256": "", "bytes": 1}}}, "etc/passwd"),
        ({"files": {"/etc/passwd": {"sha256": "", "bytes": 1}}}, "etc/passwd"),
        ({"files": {"a": {"sha256": "", "bytes": -1}}}, "manifest.json"),
        ({"files": [1]}, "manifest.json"),
        ({"files": {}}, "frontend.json"),
    ],
)
def test_manifest_that_says_something_else_is_refused(bundle: Path, change: dict[str, object], word: str) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refused(bundle, word)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "\udcff", "[" * 100_000])
def test_garbage_manifest_is_refused(bundle: Path, text: str) -> None:
    (bundle / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(bundle, "manifest.json")


def test_front_end_of_another_spec_is_refused(bundle: Path, tmp_path: Path) -> None:
    wide = write_bundle(tmp_path / "wide", FILES, tables=released("wide9s"), labels=LABELS, about={})
    shutil.copy(wide / "frontend.json", bundle)
    refused(bundle, "frontend.json")
    manifest, other = (json.loads((path / "manifest.json").read_text()) for path in (bundle, wide))
    manifest["files"]["frontend.json"] = other["files"]["frontend.json"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    refused(bundle, "frontend.json", "spec", "export again")


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "does not exist")
    refused(tmp_path, "manifest.json", "missing")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 not really")
    refused(tmp_path / "x.zip", "x.zip", "a bundle is a directory or a .zip")


def test_truncated_zip_is_refused(bundle: Path) -> None:
    path = zipped(bundle)
    os.truncate(path, path.stat().st_size // 2)
    refused(path, "bundle.zip")


@pytest.mark.parametrize("damage", ["lzma", "method", "encrypted", "no name"])
def test_a_zip_that_cannot_be_unpacked_is_refused(bundle: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA if damage == "lzma" else zipfile.ZIP_STORED) as archive:
        for name in ALL_FILES:
            archive.write(bundle / name, name)
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    if damage == "lzma":
        content[44:80] = b"\xff" * 36
    elif damage == "method":
        content[8] = content[directory + 10] = 97
    elif damage == "encrypted":
        content[6] = content[directory + 8] = 1
    else:
        content[directory + 28] = 0
    path.write_bytes(content)
    refused(path, "manifest.json" if damage != "no name" else "b.zip")


@pytest.mark.parametrize("name", ["../x", "/x", "c/../../x", "c\\x", "c//x"])
def test_zip_member_outside_is_refused(bundle: Path, name: str) -> None:
    path = zipped(bundle)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    refused(path, "refused")


def test_zip_with_a_link_is_refused(bundle: Path) -> None:
    path = zipped(bundle)
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, b"/etc/passwd")
    refused(path, "link")


def only_the_old_bundle(parent: Path, model: bytes) -> None:
    assert [path.name for path in parent.iterdir()] == ["bundle"]
    assert read_bundle(parent / "bundle").read("model_int8.tflite") == model


def test_a_new_bundle_replaces_the_old(bundle: Path) -> None:
    write(bundle, b"new")
    only_the_old_bundle(bundle.parent, b"new")


def test_a_link_to_a_bundle_stays_a_link(bundle: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundle)
    write(link, b"new")
    assert link.is_symlink()
    assert read_bundle(bundle).read("model_int8.tflite") == b"new"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("x" * 300, "file name too long"), ("a\0b", "embedded null byte"), ("file/b", "not a directory")],
)
def test_a_path_that_cannot_be_looked_at_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    for call in (read_bundle, check_destination):
        with pytest.raises(BundleError, match=rf"({reason}|file exists)"):
            call(tmp_path / name)


def test_a_closed_folder_is_one_line(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = Path.stat

    def closed(self: Path, **options: bool) -> object:
        if self.name == "labels.txt" or self == shut:
            raise PermissionError(13, "Permission denied")
        return stat(self, **options)

    shut = bundle
    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(BundleError, match=r"cannot be opened \(permission denied\)"):
        read_bundle(bundle)
    shut = bundle / "nothing"
    with pytest.raises(BundleError, match=r"labels.txt cannot be read \(permission denied\)"):
        read_bundle(bundle)


def test_file_size_limit_leaves_the_old_bundle(bundle: Path) -> None:
    """A real failing write: the kernel refuses any file above 10 kB, as a full disk would."""
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from edgegenre_runtime.network.bundle import write_bundle\n"
        "from edgegenre_runtime.errors import BundleError; from edgegenre_runtime.frontend import released\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    write_bundle(Path(sys.argv[1]), {'model_int8.tflite': bytes(20_000)},"
        " tables=released('seed3s'), labels=['a'], about={})\n"
        "except BundleError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(bundle)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "what was there is unchanged" in done.stderr
    only_the_old_bundle(bundle.parent, FILES["model_int8.tflite"])


class Interrupted(type(Path())):  # type: ignore[misc]
    def read_bytes(self) -> bytes:
        raise KeyboardInterrupt


def test_interrupt_leaves_the_old_bundle(bundle: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_bundle(bundle, {**FILES, "z": Interrupted("z")}, tables=TABLES, labels=LABELS, about={})
    only_the_old_bundle(bundle.parent, FILES["model_int8.tflite"])


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_failure_between_the_renames_is_rolled_back(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    rename = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises((BundleError, KeyboardInterrupt)):
        write(bundle, b"new")
    only_the_old_bundle(bundle.parent, FILES["model_int8.tflite"])


def test_what_is_not_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(BundleError, match="not a bundle"):
        write(tmp_path / "photos")
    with pytest.raises(BundleError, match="is a file"):
        write(tmp_path / "photos" / "cat.jpg")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"
    (tmp_path / "empty").mkdir()
    assert read_bundle(write(tmp_path / "empty")).labels == LABELS


def test_destination_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="cannot be used"):
        write(tmp_path / "file" / "bundle")
    with pytest.raises(BundleError):
        write(Path("/proc/bundle"))


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("a", " "), ("a\nb",), ("a", "b\u2028c")])
def test_odd_labels_are_refused(tmp_path: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(BundleError, match="labels"):
        write_bundle(tmp_path / "bundle", FILES, tables=TABLES, labels=labels, about={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../x", "/x", "", "manifest.json", "a b", ".hidden"])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="not allowed"):
        write_bundle(tmp_path / "bundle", {name: b""}, tables=TABLES, labels=LABELS, about={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "about",
    [
        {"task": "multi", "thresholds": {"blues": 0.25, "metal": 0.5, "hip hop": 1}},
        {"task": "hierarchy", "thresholds": {"level 1": 0.5}},
        {},
    ],
)
def test_a_bundle_says_what_its_outputs_mean(tmp_path: Path, about: dict[str, object]) -> None:
    write_bundle(tmp_path / "b", FILES, tables=TABLES, labels=LABELS, about=about)
    task = read_bundle(tmp_path / "b").task
    assert {key: value for key, value in task.to_dict().items() if key != "taxonomy"} == about
    assert task.labels == LABELS


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"task": "several"}, "task 'several' is unknown"),
        ({"task": "multi", "thresholds": {"blues": 0.5}}, "one threshold for each of: blues, metal, hip hop"),
        ({"task": "multi", "thresholds": {"blues": 2, "metal": 0.5, "hip hop": 0.5}}, "allowed are 0 to 1"),
    ],
)
def test_a_task_that_makes_no_sense_is_never_written(tmp_path: Path, about: dict[str, object], words: str) -> None:
    write_bundle(tmp_path / "b", FILES, tables=TABLES, labels=LABELS, about={})
    before = (tmp_path / "b" / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match=words):
        write_bundle(tmp_path / "b", FILES, tables=TABLES, labels=LABELS, about=about)
    assert (tmp_path / "b" / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_a_training_run_in_the_place_of_a_bundle_is_told_how_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "best.safetensors").touch()
    with pytest.raises(BundleError, match=r"is a training run, not a bundle: .* edgegenre export '.*/my run' --int8"):
        read_bundle(tmp_path / "my run")
