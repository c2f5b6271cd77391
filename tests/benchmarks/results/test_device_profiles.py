"""Device profiles and plans: all of them have their shape, and what is not in shape is named."""

import shutil

import pytest

from edgegenre_bench.measure import plan
from edgegenre_bench.results import device_profiles as devices
from edgegenre_bench.results.device_profiles import detect_device, device_names, devices_folder, load_device
from edgegenre_bench.results.json_schema import check
from edgegenre_bench.results.toml_reader import read_toml
from edgegenre_runtime.errors import DataError, UsageError


@pytest.mark.parametrize("name", device_names())
def test_every_profile_loads_and_names_its_sources(name):
    device = load_device(name)
    content = read_toml(devices_folder() / f"{name}.toml")
    for section in ("cpu", "int8", "estimate", "budget"):
        assert len(content[section]["source"]) > 10
    assert device.budget.rss_mb < device.ram_mb
    assert device.estimate_ms(device.clock_mhz * 1e6 * device.instructions_per_cycle) == pytest.approx(1000)


def test_the_profiles_that_the_docs_promise_are_there():
    kinds = {name: load_device(name).kind for name in device_names()}
    assert set(kinds) == {
        *("android-arm64", "cortex-m55", "esp32-s3", "rpi3bplus", "rpi4", "rpi5", "rpizero2w", "x86-64"),
    }
    assert set(kinds.values()) == set(devices.KINDS)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    shutil.copytree(devices_folder(), tmp_path / "devices")
    monkeypatch.setattr(devices, "devices_folder", lambda: tmp_path / "devices")
    return tmp_path / "devices"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cores = 4", 'cores = "four"', r"rpi4.toml.cpu.cores: must be a whole number"),
        ("cores = 4", "", "'cores' is missing"),
        ("cores = 4", "cores = 4\ncolor = 1", "unknown key 'color'"),
        ("clock_mhz = 1800", "clock_mhz = 0", "above 0"),
        ('kind = "linux"', 'kind = "toaster"', "'toaster' is unknown"),
        ("cores = 4", "cores = = 4", "not TOML"),
    ],
)
def test_a_profile_out_of_shape_is_refused(folder, old, new, says):
    path = folder / "rpi4.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        load_device("rpi4")


def test_unknown_names_list_those_that_there_are():
    with pytest.raises(UsageError, match="there are: android-arm64"):
        load_device("rpi9")
    with pytest.raises(UsageError, match="there are: full, quick"):
        plan.load_plan("long")


def test_a_board_is_known_by_its_device_tree(monkeypatch, tmp_path):
    (tmp_path / "model").write_bytes(b"Raspberry Pi 3 Model B Plus Rev 1.3\0")
    monkeypatch.setattr(devices, "_MODEL_FILE", tmp_path / "model")
    assert detect_device() == "rpi3bplus"
    monkeypatch.setattr(devices, "_MODEL_FILE", tmp_path / "none")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert detect_device() == ""


def test_plans_load_and_the_full_one_is_the_longer():
    quick, full = map(plan.load_plan, ("quick", "full"))
    assert quick.repeats < full.repeats
    assert max(full.growth.lengths_s) == 36000
    assert quick.threads == full.threads == (1, 2, 4)


@pytest.mark.parametrize(
    ("value", "shape", "says"),
    [
        ({"a": [1, "x"]}, {"a": [int]}, r"doc.a\[1\]: must be a whole number"),
        ({"a": True}, {"a": int}, "must be a whole number"),
        ({"a": float("nan")}, {"a": float}, "must be a number"),
        ({"a": "x"}, {"a": (float, None)}, "must be a number"),
        ([], {"a": int}, "must be an object"),
        ({"x": {"b": 1}}, {str: {"b": str}}, "doc.x.b: must be text"),
    ],
)
def test_the_schema_names_the_place(value, shape, says):
    with pytest.raises(DataError, match=says):
        check(value, shape, "doc")


def test_the_schema_lets_through_what_fits():
    check({"a": 1, "b": None, "c": [{"d": 2}]}, {"a": float, "b": (str, None), "c": [{"d": int}], "e?": str}, "doc")
