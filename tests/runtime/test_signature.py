"""Signed bundles: what a trusted key did not sign, or was changed afterwards, is refused before it is used."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from signed import make_key, signed_bundle

from edgegenre.toy.dataset import write_piece
from edgegenre_export.package.sign import read_keys, sign_bundle
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.run import main
from edgegenre_runtime.signature import Release, read_private_key, read_public_keys

pytest.importorskip("cryptography", reason="needs the extra sign")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder, name) for name in ("release", "next", "other")}


@pytest.fixture
def bundle(tmp_path, keys):
    return signed_bundle(tmp_path / "genres", keys["release"], version=7)


def trusted(*keys):
    return read_public_keys([key.with_suffix(".pub") for key in keys])


def test_a_signed_bundle_runs_and_says_who_released_it(bundle, keys):
    read = GenreClassifier.load(bundle, trust=trusted(keys["release"])).bundle
    assert read.release == Release("genres", 7)
    assert read.signed_by == trusted(keys["release"])[0].identity
    assert read_bundle(bundle).signed_by == ""  # nobody asked


def test_as_zip(bundle, keys):
    path = shutil.make_archive(str(bundle), "zip", bundle)
    assert read_bundle(type(bundle)(path), trusted(keys["release"])).release.version == 7


def test_another_key_is_refused(bundle, keys):
    with pytest.raises(BundleError, match=r"is signed with .* and trusted are"):
        read_bundle(bundle, trusted(keys["other"]))


def test_an_unsigned_bundle_is_refused(bundle, keys):
    (bundle / "signature.json").unlink()
    with pytest.raises(BundleError, match="is not signed, and --trust takes signed bundles alone"):
        read_bundle(bundle, trusted(keys["release"]))


@pytest.mark.parametrize("name", ["model_int8.tflite", "net.eg", "labels.txt", "card.md", "golden.npz"])
def test_any_changed_file_is_refused_whether_it_is_used_or_not(bundle, keys, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} has changed"):
        read_bundle(bundle, trusted(keys["release"]))


def test_a_changed_manifest_is_refused_before_it_is_read(bundle, keys):
    """Whoever changes a file can change its hash, and then the signature no longer holds."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["release"]["version"] = 8
    for content in (json.dumps(manifest), "[" * 100_000):
        (bundle / "manifest.json").write_text(content)
        with pytest.raises(BundleError, match="its manifest was changed after it was signed"):
            read_bundle(bundle, trusted(keys["release"]))


def test_a_file_that_is_not_listed_is_never_read(bundle, keys):
    """music_detector.json is looked up in the manifest, so that one laid beside the others changes nothing."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    listed = {name: (bundle / name).read_bytes() for name in manifest["files"]}
    read = read_bundle(bundle)
    del listed["music_detector.json"], listed["frontend.json"], listed["labels.txt"]
    without = write_bundle(bundle.with_name("w"), listed, tables=read.tables, labels=read.labels, about={})
    sign_bundle(without, read_keys([keys["release"]]), name="genres")
    (without / "music_detector.json").write_text("not JSON")
    (without / "head.json").write_text("not JSON")
    opened = GenreClassifier.load(without, trust=trusted(keys["release"]))
    assert opened.head is None
    with pytest.raises(BundleError, match=r"has no music_detector.json"):
        opened.bundle.read("music_detector.json")


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"format_version": 2, "signatures": []}', '{"format_version": 1, "signatures": [{"key": 1}]}',
     '{"format_version": 1, "signatures": [{"key": "0123456789abcdef", "ed25519": "%"}]}', "[" * 60_000,
     '{"format_version": 1, "signatures": [{"key": "\\u001b[2J\\n", "ed25519": ""}]}',
     json.dumps({"format_version": 1, "signatures": [{"key": f"{i:016x}", "ed25519": ""} for i in range(17)]})],
)  # fmt: skip
def test_a_damaged_signature_is_refused(bundle, keys, content):
    (bundle / "signature.json").write_text(content)
    with pytest.raises(BundleError, match=r"signature\.json is damaged or of another version"):
        read_bundle(bundle, trusted(keys["release"]))


@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 88])
def test_a_signature_that_does_not_hold_is_refused(bundle, keys, signature):
    identity = trusted(keys["release"])[0].identity
    record = {"format_version": 1, "signatures": [{"key": identity, "ed25519": signature}]}
    (bundle / "signature.json").write_text(json.dumps(record))
    with pytest.raises(BundleError, match="its manifest was changed"):
        read_bundle(bundle, trusted(keys["release"]))


def test_keys_are_rotated_by_signing_with_both(bundle, keys):
    old, new = trusted(keys["release"]), trusted(keys["next"])
    with pytest.raises(BundleError):
        read_bundle(bundle, new)
    sign_bundle(bundle, read_keys([keys["release"], keys["next"]]))
    for trust in (old, new, (*old, *new)):
        assert read_bundle(bundle, trust).release.name == "genres"
    sign_bundle(bundle, read_keys([keys["next"]]))
    with pytest.raises(BundleError, match="and trusted are"):
        read_bundle(bundle, old)
    assert read_bundle(bundle, (*old, *new)).signed_by == new[0].identity


def test_keys_of_openssl_are_taken_and_others_refused(tmp_path, keys, monkeypatch):
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=tmp_path)

    openssl("genpkey", "-algorithm", "ed25519", "-out", "a.key")
    openssl("pkey", "-in", "a.key", "-pubout", "-out", "a.pub")
    openssl("pkey", "-in", "a.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    openssl("genpkey", "-algorithm", "ed448", "-out", "b.key")
    openssl("pkey", "-in", "b.key", "-pubout", "-out", "b.pub")
    assert read_private_key(tmp_path / "a.key").identity == read_public_keys([tmp_path / "a.pub"])[0].identity
    with pytest.raises(UsageError, match=r"is encrypted: put its password into \$EDGEGENRE_KEY_PASSWORD"):
        read_private_key(tmp_path / "locked.key")
    monkeypatch.setenv("EDGEGENRE_KEY_PASSWORD", "secret")
    assert read_private_key(tmp_path / "locked.key").identity == read_private_key(tmp_path / "a.key").identity
    monkeypatch.setenv("EDGEGENRE_KEY_PASSWORD", "wrong")
    with pytest.raises(UsageError, match="cannot be read: it must be an Ed25519 private key"):
        read_private_key(tmp_path / "locked.key")
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        read_private_key(tmp_path / "b.key")
    for name in ("b.pub", "missing.pub", "a\0b"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_public_keys([tmp_path / name])
    with pytest.raises(UsageError, match="is a private key, which belongs on no device"):
        read_public_keys([tmp_path / "a.key"])


def test_the_command_line(bundle, keys, tmp_path, capfd):
    write_piece(tmp_path / "a.wav", "disco", 0, 4.0)
    right, wrong = (str(keys[name].with_suffix(".pub")) for name in ("release", "other"))
    line = [str(tmp_path / "a.wav"), "--bundle", str(bundle)]
    assert main([*line, "--trust", wrong]) == 2
    said = capfd.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert main([*line, "--trust", wrong, "--trust", right]) == 0
    assert "a.wav" in capfd.readouterr().out
    assert main([str(tmp_path / "a.wav"), "--trust", right]) == 2  # the shipped one is not signed
    assert "is not signed" in capfd.readouterr().err
    assert main([*line, "--trust", str(tmp_path / "none.pub")]) == 2
    assert "none.pub cannot be read" in capfd.readouterr().err


def test_without_the_extra_the_command_to_install_it_is_given(bundle, keys):
    code = "import sys; sys.modules['cryptography'] = None; from edgegenre_runtime.run import main; sys.exit(main())"
    line = ["a.wav", "--bundle", str(bundle), "--trust", str(keys["release"].with_suffix(".pub"))]
    done = subprocess.run(
        [sys.executable, "-c", code, *line], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 2
    assert "pip install 'edgegenre[sign]'" in done.stderr
