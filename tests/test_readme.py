"""README and the pages of docs/: short enough, their links lead somewhere, their commands and code run."""

import json
import re
import subprocess
import sys

import pytest
import soundfile
from documentation import ROOT, blocks, pages, run, section

from edgegenre.checkpoint import default_checkpoint
from edgegenre.toy.dataset import render, write_dataset

README = ROOT / "README.md"


@pytest.fixture
def music(tmp_path):
    """A folder with song.mp3 and album/."""
    (tmp_path / "album").mkdir()
    soundfile.write(tmp_path / "song.mp3", render("disco", 0, 10.0), 22050)
    soundfile.write(tmp_path / "album" / "a.flac", render("metal", 0, 5.0), 22050)
    return tmp_path


def anchor(heading):
    """The anchor that GitHub and MkDocs make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def broken_links(page, text):
    """Links of a page's text that lead to no file of the repository, or to no heading."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text):
        if re.match(r"https?:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or ROOT not in (target, *target.parents):
            yield link
        elif fragment:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            if fragment not in map(anchor, headings):
                yield link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert list(broken_links(page, page.read_text("utf-8"))) == []


def test_a_link_that_leads_nowhere_is_found():
    text = "[a](start.md) [b](nowhere.md) [c](runtime.md#outputs) [d](runtime.md#nothing) [e](../../outside.md)"
    assert list(broken_links(ROOT / "docs" / "x.md", text)) == ["nowhere.md", "runtime.md#nothing", "../../outside.md"]


def test_readme_is_short_and_nothing_points_outside_of_the_repository():
    assert len(README.read_text("utf-8").splitlines()) <= 150
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("needs a git checkout")
    outside = "../" + "shared"
    for name in listed.stdout.splitlines():
        if name.startswith(("docs/", "scripts/", "README", "edgegenre/", "export/", "runtime/", "benchmarks/")):
            text = (ROOT / name).read_bytes().decode("utf-8", "replace") if (ROOT / name).is_file() else ""
            assert outside not in text, name


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_python_examples_run(page, music):
    for block in blocks((ROOT / page).read_text("utf-8"), "python"):
        done = subprocess.run([sys.executable, "-c", block], cwd=music, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_quick_start_runs(music):
    lines = blocks(section(README, "Quick start"), "sh")[0].splitlines()
    assert len(lines) == 5
    file, folder, _, page, doctor = lines
    assert run(file, music).startswith("song.mp3: ")
    run(folder, music)
    records = [json.loads(line) for line in (music / "album.jsonl").read_text().splitlines()]
    assert len(records[0]["probabilities"]) == 10
    run(page, music)
    assert (music / "listen" / "single.html").is_file()
    assert "front-end" in run(doctor, music)


@pytest.mark.slow
def test_the_five_commands_lead_from_a_folder_of_music_to_an_answer(music):
    write_dataset(music / "music", clips_per_style=4, seconds=6.0, seed=7)
    lines = blocks(section(README, "Train your own"), "sh")[0].splitlines()
    assert len(lines) == 5
    prepare, train, evaluate, export, answer = (line.split(" #")[0] for line in lines)
    run(prepare, music)
    run(f"{train} --epochs 2 --crops 1", music)
    assert "accuracy" in run(evaluate, music)
    run(f"{export} --gate off --windows 20", music)  # two epochs on toys are not worth a gate
    assert run(answer, music).startswith("song.mp3: ")


def test_the_accuracy_is_that_of_the_network_that_ships():
    metrics = json.loads(default_checkpoint().with_suffix(".json").read_text("utf-8"))["meta"]["metrics"]
    text = section(README, "Accuracy")
    for part in ("test", "outside test"):
        row = metrics[part]
        assert f"{row['track_accuracy']:.3f} of" in text.replace("\n", " "), part
