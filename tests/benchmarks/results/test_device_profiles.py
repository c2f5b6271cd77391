"""Device profiles and plans: all of them have their shape, and what is not in shape is named."""

import json
import shutil
import sys
from importlib.resources import files

import jsonschema
import pytest

from edgegenre_bench.measure import plan
from edgegenre_bench.results import device_profiles as devices
from edgegenre_bench.results.device_profiles import detect_device, device_names, devices_folder, load_device
from edgegenre_bench.results.result import read_result
from edgegenre_bench.results.toml_reader import read_toml
from edgegenre_runtime.errors import DataError, MissingExtraError, UsageError


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
    assert set(kinds.values()) == {"linux", "microcontroller", "phone"}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    shutil.copytree(devices_folder(), tmp_path / "devices")
    monkeypatch.setattr(devices, "devices_folder", lambda: tmp_path / "devices")
    return tmp_path / "devices"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cores = 4", 'cores = "four"', r"rpi4.toml.cpu.cores: 'four' is not of type 'integer'"),
        ("cores = 4", "", r"rpi4.toml.cpu: 'cores' is a required property"),
        ("cores = 4", "cores = 4\ncolor = 1", "'color' was unexpected"),
        ("clock_mhz = 1800", "clock_mhz = 0", "rpi4.toml.cpu.clock_mhz: 0 is less than"),
        ("clock_mhz = 1800", "clock_mhz = nan", "rpi4.toml.cpu.clock_mhz: must be a finite number"),
        ('kind = "linux"', 'kind = "toaster"', "rpi4.toml.kind: 'toaster' is not one of"),
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


def test_without_jsonschema_packaged_files_are_read_and_results_need_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert load_device("rpi4").cores == 4
    assert plan.load_plan("quick").threads == (1, 2, 4)
    with pytest.raises(MissingExtraError, match=r"edgegenre\[bench\]"):
        read_result(devices_folder() / "results" / "rpi4.json")


@pytest.mark.parametrize("name", ["device", "plan", "result"])
def test_every_schema_is_a_schema_that_closes_its_objects(name):
    schema = json.loads(files("edgegenre_bench.results").joinpath(f"schemas/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    def objects(node):
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for child in node.values():
                yield from objects(child)

    assert all("additionalProperties" in node for node in objects(schema))
