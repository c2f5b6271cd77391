"""The build hook: what it compiles, how wheels are tagged, and that it gives way where it cannot."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def hook():
    pytest.importorskip("hatchling")
    found = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_without_a_compiler_it_says_why(hook, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "/no/such/cc")
    assert "no C compiler" in hook.compile_library(ROOT, tmp_path / "x.so", None)
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails_says_why(hook, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "false")
    assert hook.compile_library(ROOT, tmp_path / "x.so", None).startswith("false failed")


def test_cc_may_carry_options(hook, monkeypatch):
    monkeypatch.setenv("CC", "sh -c true")
    assert hook.compiler(None) == ["sh", "-c", "true"]


def test_tags(hook):
    assert hook.platform_tag("aarch64") == "linux_aarch64"
    if sys.platform == "linux":
        assert hook.platform_tag(None) == f"linux_{platform.machine()}"


def build_wheel(folder, monkeypatch, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    source = folder / "source"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", source]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.mark.slow
def test_wheel_of_this_machine_carries_the_library(hook, monkeypatch, tmp_path):
    if hook.compiler(None) is None:
        pytest.skip("needs a C compiler")
    wheel = build_wheel(tmp_path, monkeypatch)
    assert wheel.name.endswith(f"py3-none-{hook.platform_tag(None)}.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "from edgegenre_runtime.frontend import active_implementation; print(active_implementation())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )
    assert done.stdout == "c\n"


@pytest.mark.slow
def test_wheel_without_a_compiler_is_pure(monkeypatch, tmp_path):
    wheel = build_wheel(tmp_path, monkeypatch, CC="/no/such/cc")
    assert wheel.name.endswith("py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "machine"), [("aarch64", 183), ("armv7l", 40), ("armv6l", 40)])
def test_wheel_for_another_machine(hook, monkeypatch, tmp_path, target, machine):
    if hook.compiler(target) is None:
        pytest.skip(f"needs {hook.CROSS[target].split()[0]}")
    wheel = build_wheel(tmp_path, monkeypatch, EDGEGENRE_TARGET=target)
    assert wheel.name.endswith(f"py3-none-linux_{target}.whl")
    library = zipfile.ZipFile(wheel).read("edgegenre_runtime/frontend/lib/edgegenre_mel.so")
    assert library[18:20] == machine.to_bytes(2, "little")  # ELF's e_machine


@pytest.mark.parametrize(("target", "tags"), [("armv6l", ["v6", "VFPv2"]), ("armv7l", ["v7", "VFPv4", "NEONv1"])])
def test_the_library_runs_on_the_oldest_board_of_its_target(hook, tmp_path, target, tags):
    if hook.compiler(target) is None or shutil.which("readelf") is None:
        pytest.skip("needs the cross compiler and readelf")
    assert hook.compile_library(ROOT, tmp_path / "x.so", target) is None
    shown = subprocess.run(["readelf", "-A", tmp_path / "x.so"], capture_output=True, text=True, check=True).stdout
    for tag in tags:
        assert re.search(rf": {tag}\b", shown), shown


@pytest.mark.slow
def test_the_sdist_makes_the_same_wheel_without_a_network(tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation"]
    subprocess.run([*build, "--sdist", "--outdir", tmp_path / "sdist", ROOT], check=True, capture_output=True)
    (sdist,) = (tmp_path / "sdist").glob("edgegenre-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("edgegenre-*/")
    offline = {**os.environ, "PIP_NO_INDEX": "1", "EDGEGENRE_NO_C": "1"}
    files = []
    for name, folder in (("from_sdist", source), ("from_tree", ROOT)):
        command = [*build, "--wheel", "--outdir", tmp_path / name, folder]
        subprocess.run(command, check=True, capture_output=True, env=offline)
        (wheel,) = (tmp_path / name).glob("*.whl")
        files.append({info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist()})
    assert files[0] == files[1]
    assert any(name.endswith("licenses/NOTICE") for name in files[0])
