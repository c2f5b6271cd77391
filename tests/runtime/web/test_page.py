"""The folder and the single file that are made of a bundle."""

import dataclasses
import json
import re
import shutil
import subprocess

import pytest
from playwright._impl._driver import compute_driver_executable

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend.c_tables import table_blob
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.bundle_names import default_bundle
from edgegenre_runtime.network.task import make_task
from edgegenre_runtime.web import page as page_module
from edgegenre_runtime.web.page import DEVICE_FILES, page_file, web_folder
from edgegenre_runtime.web.single_file import join_modules, shortened

NODE = compute_driver_executable()[0]
TOP_LEVEL = re.compile(r"^(?:const|let|class|(?:async )?function\*?) (?:\{[^}]*\}|[\w$]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(default_bundle())


@pytest.fixture(scope="module")
def files(bundle):
    return web_folder(bundle)


def is_script(tmp_path, text, name="x.mjs"):
    (tmp_path / name).write_text(text)
    done = subprocess.run([NODE, "--check", tmp_path / name], capture_output=True, text=True, check=False)
    return done.returncode == 0 or done.stderr


def test_the_folder_holds_every_file_of_the_page_and_of_the_bundle(files, bundle):
    shipped = {path.name for path in (page_module._PAGE).iterdir()} - {"single.js"}  # for single.html alone
    assert set(files) == shipped | {"mel.blob", "net.eg", "bundle.json", "single.html"}
    assert files["net.eg"] == bundle.read("net.eg")
    assert files["mel.blob"] == table_blob(bundle.tables)
    facts = json.loads(files["bundle.json"])
    assert facts["labels"] == list(bundle.labels)
    assert 0 < facts["uncertain_below"] < 1
    for name in re.findall(r'(?:src|href)="([^"#]+)"', files["index.html"].decode()):
        assert name in files


def test_every_import_is_there_and_every_script_parses(files, tmp_path):
    for name, content in files.items():
        if name.endswith(".js"):
            text = content.decode()
            assert is_script(tmp_path, text) is True
            for imported in re.findall(r'from "\./([^"]+)"', text):
                assert imported in files


def test_joined_scripts_parse_and_have_no_name_twice(files, tmp_path):
    for entry in ("app.js", "worker.js"):
        joined = join_modules(files, entry)
        assert is_script(tmp_path, joined) is True
        names = TOP_LEVEL.findall(joined)
        assert len(set(names)) == len(names) > 10
    with pytest.raises(BundleError, match="unknown form"):
        join_modules({"a.js": b'import * as b from "./b.js";\n'}, "a.js")


def test_shortened_scripts_parse_and_lose_no_code(files, tmp_path):
    for entry in ("app.js", "worker.js"):
        joined = join_modules(files, entry)
        short = shortened(joined)
        assert is_script(tmp_path, short) is True
        assert len(short) < 0.85 * len(joined)
        assert "".join(short.split()) == "".join(re.sub(r"(?m)^\s*//.*$", "", joined).split())
    assert shortened('  a = "//";\n\n  // b\n') == 'a = "//";\n'
    with pytest.raises(BundleError, match="template literal of several lines"):
        shortened("const a = `\n  b`;\n")


def test_single_file_is_small_and_both_are_strict(files):
    assert len(files["single.html"]) <= 350_000
    for name in ("index.html", "single.html"):
        html = files[name].decode()
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe-inline" not in policy
        assert " 'unsafe-eval'" not in policy
        assert not re.search(r'\son\w+="', html)
    assert "connect-src 'self'" in files["index.html"].decode()
    assert "connect-src 'none'" in files["single.html"].decode()
    assert "<script>" not in files["index.html"].decode()


def test_nothing_names_another_host(files):
    for name, content in files.items():
        if name.endswith((".js", ".html", ".css", ".webmanifest", ".svg")):
            hosts = set(re.findall(r"https?://[^\s\"'`)]+", content.decode()))
            assert hosts <= {"http://www.w3.org/2000/svg"}, name


def test_the_service_worker_is_named_by_what_it_keeps(files, bundle, tmp_path):
    listed = json.loads(re.search(r"^const FILES = (\[.*\]);$", files["sw.js"].decode(), re.MULTILINE)[1])
    assert set(listed) == {"./"} | set(files) - {"sw.js", "single.html"}

    def cache(folder):
        return re.search(r'CACHE = "(edgegenre-[0-9a-f]{16})"', web_folder(read_bundle(folder))["sw.js"].decode())[1]

    other = write_bundle(
        tmp_path / "other", {"net.eg": bundle.read("net.eg")}, tables=bundle.tables,
        labels=[label.upper() for label in bundle.labels], about={},
    )  # fmt: skip
    assert cache(default_bundle()) == cache(default_bundle()) != cache(other)


def test_a_bundle_without_a_network_that_fits_is_refused(bundle, tmp_path):
    empty = write_bundle(tmp_path / "empty", {}, tables=bundle.tables, labels=["a", "b"], about={})
    with pytest.raises(BundleError, match=r"has no net\.eg"):
        web_folder(read_bundle(empty))
    fewer = write_bundle(
        tmp_path / "fewer", {"net.eg": bundle.read("net.eg")}, tables=bundle.tables, labels=["a", "b"], about={}
    )
    with pytest.raises(BundleError, match="not of its front-end and labels"):
        web_folder(read_bundle(fewer))
    cut = write_bundle(
        tmp_path / "cut", {"net.eg": bundle.read("net.eg")[:-8]}, tables=bundle.tables, labels=bundle.labels, about={}
    )
    with pytest.raises(BundleError):
        web_folder(read_bundle(cut))
    copied = shutil.copytree(default_bundle(), tmp_path / "changed")
    (copied / "net.eg").write_bytes(bundle.read("net.eg")[:-1] + b"x")
    with pytest.raises(BundleError, match="changed since the export"):
        web_folder(read_bundle(copied))


def test_a_device_serves_what_its_page_loads():
    wanted, reached = ["app.js"], set()
    while wanted:
        name = wanted.pop()
        reached.add(name)
        wanted += set(re.findall(r'from "\./([^"]+)"', page_file(name).decode())) - reached
    wanted = set(re.findall(r'(?:src|href)="([^"#]+)"', page_file("index.html").decode())) | {"index.html"}
    icons = set(re.findall(r'"src": "([^"]+)"', page_file("manifest.webmanifest").decode()))
    assert reached | wanted | icons == set(DEVICE_FILES)


def test_the_page_knows_what_several_labels_and_a_tree_mean(bundle):
    def facts(kind, labels):
        changed = dataclasses.replace(bundle, task=make_task(kind, labels))
        return json.loads(web_folder(changed)["bundle.json"])["task"]

    assert facts("multi", bundle.labels) == {"kind": "multi", "names": list(bundle.labels), "thresholds": [0.5] * 10}
    tree = facts("hierarchy", tuple(f"{'ab'[i % 2]}/{i}" for i in range(10)))
    assert (tree["top"], len(tree["thresholds"])) == ([0, 6], 2)
    assert tree["names"][:2] == ["a", "a/0"]
    assert tree["nodes"][0] == {"leaves": [0, 2, 4, 6, 8], "children": [1, 2, 3, 4, 5]}
