"""``edgegenre web`` and ``edgegenre export --web`` as a person types them."""

import json
import subprocess
import sys

import pytest

from edgegenre.cli import main
from edgegenre_runtime.network.bundle_names import default_bundle


def refused(capsys, *arguments):
    code = main([str(a) for a in arguments])
    err = capsys.readouterr().err
    assert code == 2, err
    assert err.strip().count("\n") == 0
    return err


def test_the_shipped_bundles_by_name_and_by_path(capsys, tmp_path):
    for bundle, most_bytes in (("default", 400_000), (default_bundle(), 400_000), ("accurate", 600_000)):
        out = tmp_path / str(len(str(bundle)))
        assert main(["web", str(bundle), "--out", str(out)]) == 0
        assert "single.html of" in capsys.readouterr().out
        assert (out / "index.html").is_file()
        assert (out / "single.html").stat().st_size < most_bytes


def test_what_is_wrong_is_one_line(capsys, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert "is not empty" in refused(capsys, "web", "default", "--out", tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    assert "is a file" in refused(capsys, "web", "default", "--out", tmp_path / "full" / "mine.txt")
    assert "cannot write" in refused(capsys, "web", "default", "--out", tmp_path / "full" / "mine.txt" / "x")
    assert "does not exist" in refused(capsys, "web", tmp_path / "no.bundle", "--out", tmp_path / "out")
    assert "missing" in refused(capsys, "web", tmp_path / "full", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--web", "new"], "recipe float"),
        (["--recipe", "int8x16", "--web", "new"], "recipe int8x16"),
        (["--sweep", "--int8", "--web", "new"], "--sweep"),
        (["--int8", "--web", "."], "is not empty"),
    ],
)
def test_export_refuses_a_page_that_it_could_not_make_before_torch_is_imported(tmp_path, options, words):
    (tmp_path / "mine.txt").write_text("mine")
    program = (
        "import sys; from edgegenre.cli import main; code = main(sys.argv[1:]); "
        "print('torch' in sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "export", "--out", "b", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "False\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_export_writes_the_page_of_what_it_exported(capsys, small_checkpoints, small_cache, tmp_path):
    command = ["export", small_checkpoints[0], "--int8", "--data", small_cache, "--windows", 40, "--gate", "off"]
    out, page = tmp_path / "b", tmp_path / "page"
    assert main([*map(str, command), "--out", str(out), "--web", str(page)]) == 0
    assert (page / "net.eg").read_bytes() == (out / "net.eg").read_bytes()
    assert json.loads((page / "bundle.json").read_text())["labels"] == ["blues", "jazz", "rock $x$"]
