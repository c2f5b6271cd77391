import sys

import pytest

from edgegenre_runtime.errors import MissingExtraError, install_command
from edgegenre_runtime.extras import import_extra


def test_a_module_that_is_there_is_returned():
    assert import_extra("json.decoder", "train").__name__ == "json.decoder"


def test_a_missing_one_names_the_command_that_installs_it():
    with pytest.raises(MissingExtraError, match=r"needs no_such, .* pip install 'edgegenre\[mqtt\]'"):
        import_extra("no_such.client", "mqtt")
    with pytest.raises(MissingExtraError, match="needs no-such-thing"):
        import_extra("no_such.client", "mqtt", "no-such-thing")


def test_in_an_environment_of_pipx_the_command_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert install_command("mqtt") == "pip install 'edgegenre[mqtt]'"
    (tmp_path / "pipx_metadata.json").touch()
    assert install_command("mqtt") == "pipx install --force 'edgegenre[mqtt]'"
