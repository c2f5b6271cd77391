import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgegenre.cli import app
from edgegenre_export.package.c_sources import bundle_c_files, write_folder
from edgegenre_runtime.errors import BundleError, DataError, UsageError
from edgegenre_runtime.frontend.c_tables import c_header
from edgegenre_runtime.network.bundle import Bundle, read_bundle
from edgegenre_runtime.network.classifier import default_bundle


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return read_bundle(default_bundle())


def test_the_c_folder_of_a_bundle_compiles_and_holds_its_network(shipped: Bundle, tmp_path: Path) -> None:
    names = write_folder(tmp_path / "c", bundle_c_files(shipped))
    assert {"main.c", "tables.h", "CMakeLists.txt", "model_int8.c", "edgegenre_mel.h"} <= set(names)
    assert (tmp_path / "c" / "tables.h").read_text() == c_header(shipped.tables, "bundle")
    sources = sorted(str(path) for path in (tmp_path / "c").glob("*.c"))
    subprocess.run(["gcc", "-std=c99", "-O1", *sources, "-o", tmp_path / "mel"], check=True)
    model = shipped.read("model_int8.tflite")
    array = (tmp_path / "c" / "model_int8.c").read_text().partition("= {")[2].partition("}")[0]
    assert bytes(map(int, array.split(","))) == model
    arena = shipped.manifest["tflite_micro"]["arena_bytes"]
    assert f"#define MODEL_INT8_ARENA_BYTES {arena}\n" in (tmp_path / "c" / "model_int8.h").read_text()


def test_a_bundle_that_tflite_micro_refuses_gives_no_array(shipped: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for facts in ({"refused": "lacks an operator"}, {}):
        monkeypatch.setitem(shipped.manifest, "tflite_micro", facts)  # type: ignore[arg-type]
        assert "model_int8.c" not in bundle_c_files(shipped)
    monkeypatch.setitem(shipped.manifest, "tflite_micro", {"arena_bytes": "many"})  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="tflite_micro in its manifest is damaged"):
        bundle_c_files(shipped)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.c").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        write_folder(tmp_path, {"mine.c": b""})
    with pytest.raises(UsageError, match="is a file"):
        write_folder(tmp_path / "mine.c", {"a": b""})
    with pytest.raises(DataError, match="cannot write"):
        write_folder(tmp_path / "mine.c" / "below", {"a": b""})
    assert (tmp_path / "mine.c").read_text() == "mine"


def test_codegen_takes_a_zip_and_needs_no_torch(shipped: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for path in shipped.root.iterdir():
            archive.write(path, path.name)
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'tflite_micro', 'litert_torch', 'scipy', 'librosa'):\n"
        "    sys.modules[name] = None\n"
        "from edgegenre.cli import main\n"
        "sys.argv[1:] = ['codegen', 'c', sys.argv[1], '--out', sys.argv[2]]\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "b.zip", tmp_path / "c"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "main.c" in done.stdout
    assert (tmp_path / "c" / "model_int8.c").is_file()


def test_tables_of_the_presets_are_generated(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["codegen", "tables", "--out", str(tmp_path / "t")])
    assert (done.exit_code, sorted(p.name for p in (tmp_path / "t").iterdir())) == (
        0,
        ["tables_seed3s.h", "tables_wide9s.h"],
    )
