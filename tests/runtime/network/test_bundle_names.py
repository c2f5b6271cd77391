"""Bundles by name: the package's, the user's, and what is said of a name that is not there."""

import shutil
from pathlib import Path

import pytest

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime import run as run_module
from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.network import engine
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import default_bundle, find_bundle, installed_bundles, user_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEGENRE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundles").mkdir()
    return tmp_path / "bundles"


@pytest.fixture
def mine(folder):
    return Path(shutil.copytree(default_bundle(), folder / "mine"))


ACCURATE = default_bundle().with_name("accurate")


def test_what_ships_is_called_default_and_accurate(folder):
    assert find_bundle(None) == find_bundle("default") == default_bundle()
    assert installed_bundles() == {"accurate": ACCURATE, "default": default_bundle()}


def test_accurate_hears_the_same_classes_on_the_engine(folder, monkeypatch):
    small, large = (read_bundle(find_bundle(name)) for name in ("default", "accurate"))
    assert large.labels == small.labels
    assert large.tables.spec_hash == small.tables.spec_hash
    if engine.load() is None:
        pytest.skip("needs the compiled engine")
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", "engine")
    assert GenreClassifier.load("accurate").backend.name.startswith("edgegenre engine")


def test_a_bundle_in_the_users_folder_is_found_by_its_name(mine):
    assert find_bundle("mine") == mine
    assert installed_bundles() == {"accurate": ACCURATE, "default": default_bundle(), "mine": mine}


def test_a_zip_in_the_users_folder_is_found_without_its_ending(folder, mine):
    zipped = shutil.make_archive(str(folder / "small"), "zip", mine)
    assert str(find_bundle("small")) == zipped


def test_a_bundle_at_the_path_comes_first_and_an_empty_folder_does_not(mine, tmp_path):
    (tmp_path / "mine").mkdir()
    assert find_bundle("mine") == mine
    shutil.copytree(default_bundle(), tmp_path / "mine", dirs_exist_ok=True)
    assert find_bundle("mine") == Path("mine")


def test_nobody_takes_the_name_of_what_ships(folder):
    shutil.copytree(default_bundle(), folder / "default")
    assert find_bundle("default") == default_bundle()


def test_an_unknown_name_lists_the_known_ones(mine):
    with pytest.raises(BundleError, match="there are: accurate, default, mine"):
        find_bundle("large")


def test_a_path_is_left_to_who_reads_it(folder):
    assert find_bundle("sub/accurate") == Path("sub/accurate")
    assert find_bundle("accurate.zip") == Path("accurate.zip")


def test_the_users_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGEGENRE_BUNDLES", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "edgegenre" / "bundles"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_folder() == tmp_path / "home" / ".local" / "share" / "edgegenre" / "bundles"


def test_the_command_takes_a_name_and_refuses_an_unknown_one_on_one_line(mine, capsys):
    assert run_module.main(["--doctor", "--bundle", "mine"]) == 0
    out = capsys.readouterr().out
    assert f"bundle        {mine}, 10 classes" in out
    assert "by name       accurate, default, mine (others go into" in out
    assert run_module.main(["--bundle", "large", "x.wav"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "there are: accurate, default, mine" in err


def test_a_unit_holds_the_path_of_the_name(mine, capsys, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.system.systemd_unit._obstacle", lambda path: "")
    assert run_module.main(["--mic", "--bundle", "mine", "--install-service", "-"]) == 0
    assert f"--bundle {mine}" in capsys.readouterr().out
