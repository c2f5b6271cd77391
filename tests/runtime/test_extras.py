import pytest

from edgegenre_runtime.errors import MissingExtraError
from edgegenre_runtime.extras import import_extra


def test_a_module_that_is_there_is_returned():
    assert import_extra("json.decoder", "train").__name__ == "json.decoder"


def test_a_missing_one_names_the_command_that_installs_it():
    with pytest.raises(MissingExtraError, match=r"needs no_such, .* pip install 'edgegenre\[mqtt\]'"):
        import_extra("no_such.client", "mqtt")
    with pytest.raises(MissingExtraError, match="needs no-such-thing"):
        import_extra("no_such.client", "mqtt", "no-such-thing")
