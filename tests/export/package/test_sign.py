"""Key pairs and signing: nothing is replaced by accident, and a changed bundle is not signed."""

import json
import stat

import pytest
from signed import make_key, signed_bundle

from edgegenre.cli import main
from edgegenre_export.package.sign import new_key_pair, read_keys, sign_bundle
from edgegenre_runtime.errors import BundleError, DataError, UsageError
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.signature import read_public_keys

pytest.importorskip("cryptography", reason="needs the extra sign")


def test_a_private_key_is_for_its_owner_alone_and_never_replaced(tmp_path):
    key = make_key(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(UsageError, match="is there, and a key is never replaced"):
        new_key_pair(key)
    key.rename(tmp_path / "elsewhere.key")
    with pytest.raises(UsageError, match=r"release\.pub is there"):
        new_key_pair(key)
    with pytest.raises(UsageError, match="is a name for public keys"):
        new_key_pair(tmp_path / "a.pub")
    with pytest.raises(DataError, match="cannot write"):
        new_key_pair(tmp_path / "no" / "a.key")
    assert (tmp_path / "elsewhere.key").read_bytes() == before


def test_name_and_version_of_a_release(tmp_path):
    key = make_key(tmp_path)
    bundle = signed_bundle(tmp_path / "mine.bundle", key, version=3)
    again = sign_bundle(bundle, read_keys([key]))
    assert again.name == "genres"  # it keeps the one that it had
    assert 20260101000000 < again.version < 30000101000000
    assert read_bundle(bundle).release == again
    for name, version in (("a/b", 1), ("", 1), ("x" * 65, 1), ("a", 0), ("a", 2**53)):
        with pytest.raises(UsageError, match=r"a release's .* give --name and --version"):
            sign_bundle(bundle, read_keys([key]), name=name, version=version)
    assert read_bundle(bundle).release == again


def test_what_cannot_be_signed(tmp_path):
    key = make_key(tmp_path)
    bundle = signed_bundle(tmp_path / "genres", key)
    (tmp_path / "b.zip").write_bytes(b"")
    with pytest.raises(UsageError, match="sign the bundle's folder"):
        sign_bundle(tmp_path / "b.zip", read_keys([key]))
    with pytest.raises(BundleError, match="does not exist"):
        sign_bundle(tmp_path / "none", read_keys([key]))
    with pytest.raises(UsageError, match="the same key was given twice"):
        read_keys([key, key])
    (bundle / "card.md").write_text("changed")
    with pytest.raises(BundleError, match=r"card\.md has changed"):
        sign_bundle(bundle, read_keys([key]))


@pytest.mark.parametrize("release", [{"name": "a"}, {"name": "a", "version": "1"}, {"name": "..", "version": 1}, 3])
def test_a_damaged_release_is_refused(tmp_path, release):
    bundle = signed_bundle(tmp_path / "genres", make_key(tmp_path))
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["release"] = release
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="release"):
        read_bundle(bundle)


def run(capsys, *words):
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_commands(tmp_path, capsys):
    bundle = signed_bundle(tmp_path / "genres", make_key(tmp_path, "old"), version=1)
    key = tmp_path / "release.key"
    code, out, _ = run(capsys, "sign", "new-key", key)
    assert code == 0
    code, out, _ = run(capsys, "sign", "bundle", bundle, "--key", key, "--name", "mine", "--version", 5)
    identity = read_public_keys([tmp_path / "release.pub"])[0].identity
    assert (code, out) == (0, f"{bundle}: signed as mine, version 5, by {identity}\n")
    code, out, _ = run(capsys, "verify", bundle, "--trust", tmp_path / "release.pub")
    assert code == 0
    assert f"mine, version 5, by {identity}" in out
    code, out, err = run(capsys, "verify", bundle, "--trust", tmp_path / "old.pub")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "release: mine, version 5" in run(capsys, "inspect", bundle)[1]
    code, _, err = run(capsys, "export", "--sign", tmp_path / "none.key", "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "none.key cannot be read" in err
    code, _, err = run(capsys, "export", "--sign", key, "--sweep", "--out", tmp_path / "out")
    assert (code, "--sign is for one bundle" in err) == (2, True)
