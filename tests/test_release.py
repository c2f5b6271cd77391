"""A release: one version, its notes, licenses, SBOM, workflows that call what is there, pages that follow the code."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from documentation import pages

import dependency_licenses
import import_diagram
import package_sbom
import release_notes
from edgegenre_bench.results.marked_page import is_stale

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_version_is_that_of_citation_and_changelog():
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
    changelog = release_notes.CHANGELOG.read_text("utf-8")
    first, *_ = re.findall(r"^## (\d\S+)", changelog, re.MULTILINE)
    assert first == version
    assert "- " in release_notes.notes(version, changelog)


def test_the_repository_has_one_address():
    home, site = PROJECT["urls"]["Homepage"], PROJECT["urls"]["Documentation"]
    assert site.endswith("/")
    assert PROJECT["urls"]["Issues"] == f"{home}/issues"
    assert PROJECT["urls"]["Changelog"] == f"{home}/blob/main/CHANGELOG.md"
    assert re.search(r"^repo_url: (.+)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)[1] == home
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["repository-code"] == home
    contact = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text("utf-8"))["contact_links"]
    assert [link["url"] for link in contact if not link["url"].startswith(site)] == []
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = {"pyproject.toml", "mkdocs.yml", "CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"}
    others = [ROOT / name for name in listed.stdout.splitlines() if name not in names and (ROOT / name).is_file()]
    own = (home.removeprefix("https://").encode(), site.removeprefix("https://").rstrip("/").encode())
    assert [str(path) for path in others if any(address in path.read_bytes() for address in own)] == []


def test_release_notes_are_one_section():
    text = "# C\n\n## Unreleased\n\n- new\n\n## 0.2.0 (today)\n\n- two\n\n## 0.1.0\n\n- one\n"
    assert release_notes.notes("0.2.0", text) == "- two"
    assert release_notes.notes("0.1.0", text) == "- one"
    command = [sys.executable, ROOT / "scripts" / "release_notes.py", "9.9.9"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "CHANGELOG.md has no section for 9.9.9\n")


def test_every_license_of_the_base_install_is_allowed(capsys):
    assert dependency_licenses.main() == 0
    assert "numpy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND Zlib", True),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("MIT AND GPL-3.0-only", False),
        ("GNU Affero General Public License v3", False),
        ("Proprietary", False),
        ("not stated", False),
    ],
)
def test_licenses(name, allowed):
    assert dependency_licenses.is_allowed(name) == allowed


def test_sbom_names_files_and_requirements(tmp_path):
    wheel, content = tmp_path / "a-1.0-py3-none-any.whl", b"print()"
    digest = hashlib.sha256(content).digest()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a.py", content)
        requires = "Requires-Dist: soundfile>=0.12\nRequires-Dist: torch; extra == 'train'\n"
        archive.writestr("a-1.0.dist-info/METADATA", f"Name: a\nVersion: 1.0\nLicense-Expression: MIT\n{requires}\n")
        archive.writestr("a-1.0.dist-info/RECORD", f"a.py,sha256={base64.urlsafe_b64encode(digest).decode()},7\n")
    made = package_sbom.sbom(wheel)
    names = [component["name"] for component in made["components"]]
    assert "soundfile" in names
    assert "numpy" in names  # what soundfile needs
    assert "torch" not in names
    assert made["components"][-1]["hashes"][0]["content"] == digest.hex()
    assert made["metadata"]["component"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert json.dumps(made) == json.dumps(package_sbom.sbom(wheel))


def steps():
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items():
            for step in job.get("steps", ()):
                yield f"{path.name}: {name}", step


def test_workflows_run_what_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    seen = 0
    for where, step in steps():
        for name in re.findall(r"^make (\S+)$", step.get("run", ""), re.MULTILINE):
            assert name in targets, where
            seen += 1
        for name in re.findall(r"(?:^|\s)((?:scripts|\.ci)/\S+)", step.get("run", "")):
            assert (ROOT / name).is_file(), where
            assert name.endswith(".py") or os.access(ROOT / name, os.X_OK), where
            seen += 1
    assert seen > 5


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_scripts_and_targets_that_are_there(page):
    text = page.read_text("utf-8")
    assert [name for name in re.findall(r"scripts/[\w./]+\.(?:py|sh)", text) if not (ROOT / name).is_file()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^ *|`)make ([a-z-]+)(?= *(?:#|`|$))", text, re.MULTILINE)
    assert [name for name in named if name not in targets] == []


def test_workflows_have_no_secrets_and_ask_for_little():
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["permissions"] == {"contents": "read"}, path.name
        assert "secrets." not in path.read_text("utf-8"), path.name
    tested = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    pythons = tested["jobs"]["device"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == PROJECT["requires-python"]
    for python in pythons:
        assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]


def test_every_page_is_in_the_navigation_once():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"(\w+\.md)$", text, re.MULTILINE)
    pages = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert sorted(listed) == sorted([*pages, "card.md"])


def test_architecture_follows_the_code():
    page = ROOT / "docs" / "architecture.md"
    assert not is_stale(page, import_diagram.sections()), (
        "run  python scripts/import_diagram.py --write docs/architecture.md"
    )


def test_an_arrow_that_follows_from_others_is_left_out():
    arrows = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert import_diagram.reduced(arrows, "a") == {"b"}
    assert import_diagram.reduced(arrows, "b") == {"c"}
