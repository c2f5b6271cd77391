"""Updates over TLS and from folders: a newer signed bundle that works here, or everything as it was."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from signed import make_key, signed_bundle
from tls_server import make_certificates, serve

from edgegenre.toy.dataset import write_piece
from edgegenre_export.package.sign import read_keys, sign_bundle
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.golden import pack_golden, read_golden
from edgegenre_runtime.network.personal.store import embedding_id
from edgegenre_runtime.run import main
from edgegenre_runtime.signature import read_public_keys
from edgegenre_runtime.update import command, slot, trial
from edgegenre_runtime.update.command import update

pytest.importorskip("cryptography", reason="needs the extra sign")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder, name) for name in ("release", "next", "other")}


@pytest.fixture(scope="module")
def published(tmp_path_factory, keys):
    """Versions 1 to 3 of a bundle, as folders and as archives."""
    folder = tmp_path_factory.mktemp("published")
    for version in (1, 2, 3):
        made = signed_bundle(folder / f"v{version}", keys["release"], version=version)
        shutil.make_archive(str(made), "zip", made)
    return folder


@pytest.fixture
def device(tmp_path, published):
    """A device with version 2."""
    shutil.copytree(published / "v2", tmp_path / "device" / "genres")
    return tmp_path / "device" / "genres"


@pytest.fixture
def quick(monkeypatch):
    """Leave out the trial on this device, which takes seconds and has tests of its own."""
    monkeypatch.setattr(command, "try_bundle", lambda folder, trust: None)


def public(*keys):
    return [key.with_suffix(".pub") for key in keys]


def version_of(folder, key):
    return read_bundle(folder, read_public_keys(public(key))).release.version


def unchanged(device, key, version=2):
    """Nothing but the bundle of before is there, whole."""
    assert [path.name for path in device.parent.iterdir()] == [device.name]
    assert version_of(device, key) == version


def refused(device, key, source, says, trust=None, ca_file=None, error=BundleError):
    with pytest.raises(error, match=says) as caught:
        list(update(device, source, public(key) if trust is None else trust, ca_file))
    assert "\n" not in str(caught.value)
    unchanged(device, key)


@pytest.mark.parametrize("what", ["v3", "v3/", "v3.zip"])
def test_over_tls(device, keys, published, certificates, what, quick):
    with serve(published, certificates) as server:
        [line] = update(device, f"{server.url}/{what}", public(keys["release"]), str(certificates / "ca.pem"))
    assert "now genres, version 3, signed by" in line
    assert version_of(device, keys["release"]) == 3
    assert version_of(device.with_name("genres.previous"), keys["release"]) == 2
    assert sorted(path.name for path in device.parent.iterdir()) == ["genres", "genres.previous"]
    assert device.stat().st_mode & 0o777 == 0o755
    if not what.endswith(".zip"):  # the networks are on the device already
        assert {Path(path).name for path in server.paths} == {"manifest.json", "signature.json"}


def test_the_whole_command_with_its_trial_on_this_device(device, keys, published, certificates, tmp_path):
    write_piece(tmp_path / "a.wav", "disco", 0, 4.0)
    line = [sys.executable, "-m", "edgegenre_runtime.run", "--bundle", device, "--trust", *public(keys["release"])]
    with serve(published, certificates) as server:
        ca = certificates / "ca.pem"
        done = subprocess.run(
            [*line, "--update", f"{server.url}/v3", "--update-ca", ca], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "version 3" in done.stdout
        again = subprocess.run(
            [*line, "--update", f"{server.url}/v3", "--update-ca", ca], capture_output=True, text=True
        )
        assert (again.returncode, "is the newest: nothing was changed" in again.stdout) == (0, True)
    heard = subprocess.run([*line, tmp_path / "a.wav"], capture_output=True, text=True, check=True)
    assert "a.wav" in heard.stdout


def test_from_a_folder_and_an_archive_of_a_file_share(device, keys, published, quick):
    list(update(device, str(published / "v3"), public(keys["release"])))
    assert version_of(device, keys["release"]) == 3
    shutil.rmtree(device)
    device.with_name("genres.previous").rename(device)
    list(update(device, str(published / "v3.zip"), public(keys["release"])))
    assert version_of(device, keys["release"]) == 3


def test_the_first_one_goes_into_the_users_folder(tmp_path, keys, published, monkeypatch, quick):
    monkeypatch.setenv("EDGEGENRE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.chdir(tmp_path)
    list(update("genres", str(published / "v1"), public(keys["release"])))
    list(update("genres", str(published / "v2"), public(keys["release"])))
    assert version_of(tmp_path / "bundles" / "genres", keys["release"]) == 2


def test_an_older_version_is_never_installed(device, keys, published, certificates):
    with serve(published, certificates) as server:
        ca = str(certificates / "ca.pem")
        for what in ("v1", "v1.zip"):
            refused(device, keys["release"], f"{server.url}/{what}", "an older one is never installed", ca_file=ca)


def test_nor_where_the_newer_one_is_damaged(device, keys, published, quick):
    """Its manifest still says which version it was; the same one is taken to repair it."""
    (device / "net.eg").write_bytes(b"")
    with pytest.raises(BundleError, match="an older one is never installed"):
        list(update(device, str(published / "v1"), public(keys["release"])))
    list(update(device, str(published / "v2"), public(keys["release"])))
    assert version_of(device, keys["release"]) == 2


def test_nor_a_bundle_of_another_name(device, keys, tmp_path):
    other = signed_bundle(tmp_path / "other", keys["release"], version=9, name="instruments")
    refused(device, keys["release"], str(other), "is a release of genres, not of instruments")


def test_another_key_is_refused_and_rotation_is_not(device, keys, published, tmp_path, quick):
    refused(device, keys["release"], str(published / "v3"), "and trusted are", trust=public(keys["other"]))
    both = signed_bundle(tmp_path / "both", keys["release"], keys["next"], version=3)
    list(update(device, str(both), public(keys["release"])))
    sign_bundle(both, read_keys([keys["next"]]), version=4)
    with pytest.raises(BundleError, match="and trusted are"):
        list(update(device, str(both), public(keys["release"])))
    list(update(device, str(both), public(keys["release"], keys["next"])))
    assert version_of(device, keys["next"]) == 4


def test_an_unsigned_or_changed_one_is_refused(device, keys, published, tmp_path):
    for name, content in (("signature.json", None), ("net.eg", b"x"), ("card.md", b"x"), ("manifest.json", b"{}")):
        changed = shutil.copytree(published / "v3", tmp_path / f"changed {name}")
        if content is None:
            (changed / name).unlink()
        else:
            (changed / name).write_bytes(content)
        if name in ("net.eg", "card.md"):  # those of the device are the same and would be taken
            (device / name).write_bytes(b"y")
        with pytest.raises(BundleError, match=f"{name} is missing|not what the signed manifest says|was changed after"):
            list(update(device, str(changed), public(keys["release"])))
    assert [path.name for path in device.parent.iterdir()] == ["genres"]


def test_a_cut_connection_an_error_and_a_server_that_is_gone(device, keys, published, certificates):
    (device / "card.md").write_text("so that there is something to fetch")
    ca = str(certificates / "ca.pem")
    with serve(published, certificates) as server:
        server.fault = "cut"
        for what in ("v3", "v3.zip"):
            with pytest.raises(BundleError, match=r"the connection was cut after \d+ of \d+ bytes"):
                list(update(device, f"{server.url}/{what}", public(keys["release"]), ca))
        server.fault = "error"
        with pytest.raises(BundleError, match="the server answers 503"):
            list(update(device, f"{server.url}/v3", public(keys["release"]), ca))
        server.fault = ""
        with pytest.raises(BundleError, match="the server answers 404"):
            list(update(device, f"{server.url}/v4", public(keys["release"]), ca))
    with pytest.raises(BundleError, match="cannot be fetched"):
        list(update(device, f"{server.url}/v3", public(keys["release"]), ca))
    assert [path.name for path in device.parent.iterdir()] == ["genres"]


def test_nothing_leaves_tls(device, keys, published, certificates):
    ca = str(certificates / "ca.pem")
    with serve(published, None) as plain, serve(published, certificates) as server:
        server.fault = plain.url
        refused(device, keys["release"], f"{server.url}/v3", "redirects to an address that is not https", ca_file=ca)
        refused(device, keys["release"], f"{plain.url}/v3", "--update takes https://", error=UsageError)
        refused(device, keys["release"], f"ftp{plain.url[4:]}/v3", "--update takes https://", error=UsageError)
        assert plain.paths == []


def test_a_redirect_within_tls_is_followed(device, keys, published, certificates, quick):
    with serve(published, certificates) as first, serve(published, certificates) as second:
        first.fault = second.url
        list(update(device, f"{first.url}/v3.zip", public(keys["release"]), str(certificates / "ca.pem")))
    assert version_of(device, keys["release"]) == 3


def test_a_server_that_nobody_vouches_for(device, keys, published, certificates, tmp_path):
    with serve(published, certificates) as server:
        refused(device, keys["release"], f"{server.url}/v3", "its certificate is not trusted, .*; see --update-ca")
        by_name = server.url.replace("127.0.0.1", "localhost")  # the certificate is for the address
        refused(device, keys["release"], f"{by_name}/v3", "is not trusted", ca_file=str(certificates / "ca.pem"))
    refused(device, keys["release"], "https://h/a", "--update-ca .* cannot be read", ca_file="none", error=UsageError)


UPDATE = """
import resource, sys
from edgegenre_runtime.run import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("what", ["v3", "v3.zip"])
def test_a_file_that_cannot_be_written_to_its_end(device, keys, published, certificates, what):
    line = ["--bundle", device, "--trust", *public(keys["release"]), "--update-ca", certificates / "ca.pem"]
    with serve(published, certificates) as server:
        command = [sys.executable, "-c", UPDATE, *map(str, line), "--update", f"{server.url}/{what}"]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot be written (file too large): nothing was changed; free some space" in done.stderr
    assert done.stderr.count("\n") == 1
    unchanged(device, keys["release"])


def test_a_full_disk(keys, published, tmp_path):
    """A file system of 6 MB with a bundle of 2 MB on it, and 0.2 MB are left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or os.getuid() != 0:
        pytest.skip("needs root to mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        shutil.copytree(published / "v2", disk / "genres")
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 200_000))
        with pytest.raises(BundleError, match=r"the new bundle has .* MB, and .* MB are free"):
            list(update(disk / "genres", str(published / "v3"), public(keys["release"])))
        with pytest.MonkeyPatch.context() as patch:  # where the disk fills up in the meantime
            patch.setattr(command.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 30}))
            with pytest.raises(
                BundleError, match=r"cannot be written \(no space left on device\): nothing was changed"
            ):
                list(update(disk / "genres", str(published / "v3"), public(keys["release"])))
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "genres"]
        assert version_of(disk / "genres", keys["release"]) == 2
    finally:
        subprocess.run(["umount", disk], check=True)


def resigned(published, folder, key, change):
    """A release whose files were changed by its owner, so that hashes and signature are right."""
    old = read_bundle(published / "v3")
    files = {name: old.read(name) for name in old.manifest["files"] if name not in ("frontend.json", "labels.txt")}
    about = {k: v for k, v in old.manifest.items() if k not in ("files", "format_version", "spec_hash", "labels")}
    out = write_bundle(folder, change(old, files), tables=old.tables, labels=old.labels, about=about)
    sign_bundle(out, read_keys([key]), version=5)
    return out


def other_golden(bundle, files):
    golden = read_golden(bundle)
    golden["cells"] = np.roll(golden["cells"], 1, axis=1)
    return {**files, "golden.npz": pack_golden(golden)}


def no_network(_, files):
    return {**files, "net.eg": b"no network", "model_int8.tflite": b"no network"}


@pytest.mark.parametrize(("change", "says"), [(other_golden, "differ"), (no_network, "does not work on this device")])
def test_one_that_does_not_work_here_is_not_installed(device, keys, published, tmp_path, change, says):
    broken = resigned(published, tmp_path / "broken", keys["release"], change)
    refused(device, keys["release"], str(broken), says)


@pytest.mark.parametrize(("code", "says"), [("os.kill(os.getpid(), 9)", "signal 9"), ("sys.exit(3)", "exit code 3")])
def test_a_trial_that_crashes_is_an_answer(monkeypatch, tmp_path, code, says):
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport os, sys\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(program))
    with pytest.raises(BundleError, match=f"does not work on this device \\({says}\\)"):
        trial.try_bundle(tmp_path, [])


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_swap_that_fails_leaves_everything_as_it_was(device, keys, published, monkeypatch, quick, exchanges):
    list(update(device, str(published / "v3"), public(keys["release"])))
    newer = signed_bundle(device.parent.parent / "v4", keys["release"], version=4)
    real = Path.rename

    def rename(self, target):
        if self.name == "bundle":
            raise OSError(5, "Input/output error")
        return real(self, target)

    def no_exchange(*_):
        if exchanges:
            raise OSError(5, "Input/output error")
        return False

    with monkeypatch.context() as patch:
        patch.setattr(slot, "_exchanged", no_exchange)
        patch.setattr(Path, "rename", rename)
        with pytest.raises(BundleError, match="what was there is unchanged"):
            list(update(device, str(newer), public(keys["release"])))
    assert version_of(device, keys["release"]) == 3
    assert version_of(device.with_name("genres.previous"), keys["release"]) == 2
    monkeypatch.setattr(slot, "_exchanged", lambda *_: False)  # a file system that cannot exchange
    list(update(device, str(newer), public(keys["release"])))
    assert version_of(device, keys["release"]) == 4
    assert version_of(device.with_name("genres.previous"), keys["release"]) == 3
    assert sorted(path.name for path in device.parent.iterdir()) == ["genres", "genres.previous"]


def test_one_at_a_time_and_what_a_killed_one_left_is_removed(device, keys, published, quick):
    left = device.with_name(".genres.abc.update")
    left.mkdir()
    foreign = device.with_name(".genres.mine")
    foreign.mkdir()
    with slot.locked(device), pytest.raises(BundleError, match=r"another update of a bundle in .* is running"):
        list(update(device, str(published / "v3"), public(keys["release"])))
    list(update(device, str(published / "v3"), public(keys["release"])))
    assert not left.exists()
    assert foreign.exists()


def test_the_bundle_before_runs_where_the_new_one_does_not_start(device, keys, published, tmp_path, capfd, quick):
    write_piece(tmp_path / "a.wav", "disco", 0, 4.0)
    line = [str(tmp_path / "a.wav"), "--bundle", str(device), "--trust", str(*public(keys["release"]))]
    (device / "net.eg").write_bytes(b"")
    assert main(line) == 2  # there is none before it
    list(update(device, str(published / "v3"), public(keys["release"])))
    previous = device.with_name("genres.previous")
    shutil.copy(published / "v2" / "net.eg", previous)
    (device / "net.eg").write_bytes(b"")
    capfd.readouterr()
    assert main(line) == 0
    said = capfd.readouterr()
    assert "a.wav" in said.out
    assert "net.eg has changed" in said.err
    assert f"running the bundle before it, {previous}" in said.err
    assert main(line[:3]) == 2  # without --trust nothing is fallen back to
    (previous / "card.md").write_text("changed")
    assert main(line) == 2
    shutil.rmtree(device)  # a power cut between two renames
    shutil.copy(published / "v2" / "card.md", previous)
    assert main(line) == 0


@pytest.mark.parametrize("same", [True, False])
def test_learned_genres_stay_with_the_network_that_learned_them(device, keys, published, same, quick):
    learned, kept = (device.with_name(f"{name}.personal.json") for name in ("genres", "genres.previous"))
    owner = embedding_id(read_bundle(published / "v3")) if same else "of another"
    learned.write_text(json.dumps({"embedding_id": owner}))
    lines = list(update(device, str(published / "v3"), public(keys["release"])))
    assert (learned.exists(), kept.exists(), len(lines)) == ((True, False, 1) if same else (False, True, 2))


def test_places_that_no_update_may_take(tmp_path, keys, published, device):
    trust = public(keys["release"])
    (tmp_path / "b.zip").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.mp3").write_bytes(b"")
    for place, says in (
        ("default", "ships with the package"),
        (tmp_path / "b.zip", "is a file, and an update replaces a bundle's folder"),
        (tmp_path / "mine", "is not a bundle"),
    ):
        with pytest.raises((UsageError, BundleError), match=says):
            list(update(place, str(published / "v3"), trust))
    device.with_name("genres.previous").mkdir()
    with pytest.raises(UsageError, match="is no bundle: move it away"):
        list(update(device, str(published / "v3"), trust))
    assert (tmp_path / "mine" / "song.mp3").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("http://h/a", "--update takes https://"),
        ("https:///a", "--update takes https://"),
        ("https://h/a b", "--update takes https://"),
        ("file:///etc", "--update takes https://"),
        ("https://me:secret@h/a", "has a password"),
        ("https://h/a?x=1", "has a password, a # or a"),
        ("https://h/a.zip#x", "has a password, a # or a"),
    ],
)
def test_sources_that_are_refused_at_once(device, keys, source, says):
    refused(device, keys["release"], source, says, error=UsageError)


def test_options(capfd, keys):
    key = str(*public(keys["release"]))
    for line, says in (
        (["--update", "x", "--bundle", "b"], "--update takes --bundle NAME, the one to replace, and --trust"),
        (["--update", "x", "--trust", key], "--update takes --bundle NAME"),
        (["--update", "x", "--bundle", "b", "--trust", key, "a.wav"], "--update takes no FILE"),
        (["--update", "x", "--bundle", "b", "--trust", key, "--json"], "--json has no effect with --update"),
        (["--update", "x", "--bundle", "b", "--trust", key, "--update-ca", "y"], "--update-ca is for --update https"),
        (["a.wav", "--update-ca", "y"], "--update-ca has no effect with files"),
    ):
        assert main(line) == 2
        err = capfd.readouterr().err
        assert says in err
        assert err.count("\n") == 1
