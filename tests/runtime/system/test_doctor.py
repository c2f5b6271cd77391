"""What --doctor prints can be posted: no name of the user in it."""

import shutil

from edgegenre_runtime import run as run_module
from edgegenre_runtime.network.classifier import default_bundle


def test_the_home_folder_is_a_tilde(tmp_path, monkeypatch, capsys):
    home = tmp_path / "alice"
    shutil.copytree(default_bundle(), home / "genres")
    for name in ("EDGEGENRE_BUNDLES", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    assert run_module.main(["--doctor", "--bundle", str(home / "genres")]) == 0
    out = capsys.readouterr().out
    assert "bundle        ~/genres, 10 classes" in out
    assert "others go into ~/.local/share/edgegenre/bundles" in out
    assert "alice" not in out
