"""The card: its facts are the artifacts', and its programs run."""

from __future__ import annotations

import html.parser
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import textures

from edgegenre_export.package.network_header import int8_thresholds
from edgegenre_export.package.snippets import snippets
from edgegenre_runtime.network.bundle import Bundle, read_bundle, write_bundle
from edgegenre_runtime.network.quantization import dequantize
from edgegenre_runtime.network.task import make_task

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def bundle(textures_export) -> Bundle:
    return read_bundle(textures_export.path)


@pytest.fixture(scope="module")
def programs(bundle: Bundle) -> dict[str, str]:
    found = re.findall(r"### (.+?)\n\n```\w+\n(.*?)```", bundle.read("card.md").decode(), re.DOTALL)
    return dict(found)


def golden(bundle: Bundle) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(bundle.read("golden.npz"))) as archive:
        return {name: archive[name] for name in archive.files}


def expected_answers(bundle: Bundle) -> list[str]:
    outputs = golden(bundle)["output_model_int8_tflite"]
    return [textures.LABELS[i] for i in outputs.argmax(axis=1)]


def test_every_target_has_its_program(programs: dict[str, str]) -> None:
    assert [title.split()[0] for title in programs] == ["Python", "C", "Kotlin,", "Kotlin,", "Swift,"]


def answers_of_the_python_program(program: str, variable: str, root: Path, pcm: np.ndarray) -> list[str]:
    """Run it in a bundle's folder over pieces of PCM; returns what it prints of a variable, a line each."""
    np.save(root.parent / "pcm.npy", pcm)
    text = "import numpy, sys\nfor pcm in numpy.load(sys.argv[1]):\n"
    if variable == "genres":
        text = "from edgegenre_runtime.network.bundle import read_bundle\n" + text
    text += "".join(f"    {line}\n" for line in program.splitlines()) + f"    print({variable})\n"
    (root.parent / "program.py").write_text(text)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "runtime"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, root.parent / "program.py", root.parent / "pcm.npy"],
        cwd=root, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_python_program_runs(bundle: Bundle, programs: dict[str, str]) -> None:
    found = answers_of_the_python_program(programs["Python"], "genre", bundle.root, golden(bundle)["pcm"][:2])
    assert found == expected_answers(bundle)[:2]


def test_the_c_program_compiles_and_answers(bundle: Bundle, programs: dict[str, str], tmp_path: Path) -> None:
    """The network's place is taken by the golden outputs, and the cells that it is given are compared."""
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler")
    for name in bundle.manifest["files"]:
        if name.startswith("c/"):
            (tmp_path / name[2:]).write_bytes(bundle.read(name))
    vectors, n = golden(bundle), textures.SPEC.window_samples
    logits = ", ".join(str(value) for value in vectors["output_model_int8_tflite"][1])
    (tmp_path / "embed.c").write_text(
        "#include <stdio.h>\n" + programs["C"] + "static void network(const int8_t *cells, int8_t *logits)\n"
        f"{{ static const int8_t golden[] = {{{logits}}}; fwrite(cells, 1, 16384, stdout);\n"
        "  for (int i = 0; i < 4; i++) logits[i] = golden[i]; }\n"
        f"int main(void) {{ static int16_t pcm[{n}]; const char *answer;\n"
        f"  if (fread(pcm, 2, {n}, stdin) != {n}) return 1;\n"
        '  answer = genre(pcm, network); fputs(answer ? answer : "none", stderr); return 0; }\n'
    )
    sources = [str(tmp_path / "embed.c"), *(str(path) for path in sorted(tmp_path.glob("edgegenre_mel*.c")))]
    command = [gcc, "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", *sources, "-o", str(tmp_path / "embed")]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run([tmp_path / "embed"], input=vectors["pcm"][1].tobytes(), capture_output=True, check=True)
    assert done.stdout == vectors["cells"][1].tobytes()
    assert done.stderr.decode() == expected_answers(bundle)[1]
    done = subprocess.run([tmp_path / "embed"], input=vectors["pcm"][2].tobytes(), capture_output=True, check=True)
    assert done.stderr == b"none"  # silence


def test_programs_of_several_labels_name_each_that_reaches_its_threshold(bundle, textures_export, tmp_path) -> None:
    task = make_task("multi", textures.LABELS, {label: 0.15 * i for i, label in enumerate(textures.LABELS)})
    network = SimpleNamespace(spec=textures.SPEC, labels=textures.LABELS, task=task)
    programs = {title: text for title, _, text in snippets(network, textures_export.model_reports)}
    vectors, output = golden(bundle), textures_export.model_reports["model_int8.tflite"].only("output")
    logits = vectors["output_model_int8_tflite"][1]
    named = task.named(task.probabilities(dequantize(logits, output.scale, output.zero_point)))
    expected = task.answer(named).labels
    steps = int8_thresholds(task, output.scale, output.zero_point)
    assert {label for label, step, low in zip(task.labels, logits, steps, strict=True) if step >= low} == set(expected)
    assert f"intArrayOf({', '.join(map(str, steps))})" in programs["Kotlin, LiteRT (not compiled here)"]
    assert '"comb" to 0.15f' in programs["Kotlin, MediaPipe (not compiled here)"]
    assert '"comb": 0.15' in programs["Swift, MediaPipe (not compiled here)"]
    assert ".filter { $0.score >= " in programs["Swift, MediaPipe (not compiled here)"]
    for name in bundle.manifest["files"]:
        if name.startswith("c/"):
            (tmp_path / name[2:]).write_bytes(bundle.read(name))
    (tmp_path / "embed.c").write_text(programs["C"])
    if gcc := shutil.which("gcc"):
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-c"]
        subprocess.run([gcc, *flags, "embed.c"], cwd=tmp_path, check=True)
    files = {
        name: bundle.read(name) for name in bundle.manifest["files"] if name not in ("frontend.json", "labels.txt")
    }
    several = write_bundle(
        tmp_path / "b", files, tables=bundle.tables, labels=bundle.labels, about={**bundle.manifest, **task.to_dict()}
    )
    assert answers_of_the_python_program(programs["Python"], "genres", several, vectors["pcm"][1:2]) == [str(expected)]


def test_programs_of_a_tree_say_where_the_path_is(textures_export) -> None:
    labels = ("a/sine", "a/comb", "b/hiss", "b/pulse")
    network = SimpleNamespace(spec=textures.SPEC, labels=labels, task=make_task("hierarchy", labels))
    programs = {title: text for title, _, text in snippets(network, textures_export.model_reports)}
    assert "task.answer(" in programs["Python"]
    assert "network_answer() of network.h" in programs["C"]
    assert "network_answer() of network.h" in programs["Kotlin, LiteRT (not compiled here)"]


def test_the_kotlin_and_swift_programs_have_the_artifacts_facts(textures_export, programs: dict[str, str]) -> None:
    output = textures_export.model_reports["model_int8.tflite"].only("output")
    kotlin = programs["Kotlin, LiteRT (not compiled here)"]
    assert 'listOf("sine", "comb", "hiss", "pulse")' in kotlin
    assert float(re.search(r"\* ([\d.e-]+)f", kotlin).group(1)) == pytest.approx(output.scale, rel=1e-8)
    assert f"(it - ({output.zero_point}))" in kotlin
    assert "allocateDirect(16384)" in kotlin
    samples = textures_export.model_reports["model_audio.tflite"].only("input").shape[-1]
    for title in ("Kotlin, MediaPipe (not compiled here)", "Swift, MediaPipe (not compiled here)"):
        assert str(samples) in programs[title]
        assert "22050" in programs[title]


@pytest.mark.parametrize("title", ["Kotlin, MediaPipe (not compiled here)", "Swift, MediaPipe (not compiled here)"])
def test_the_waveform_programs_give_silence_no_genre(programs: dict[str, str], title: str) -> None:
    """A sine just below the front-end's threshold, which is relative to a full-scale one, has no genre."""
    limit = float(re.search(r"energy < ([\d.e+-]+)", programs[title]).group(1))
    assert f"below {textures.SPEC.silence_dbfs} dBFS" in programs[title]
    phase = 2 * np.pi * 440 * np.arange(textures.SPEC.window_samples) / textures.SPEC.sample_rate_hz
    for level_dbfs, is_silence in ((-200, True), (-70.2, True), (-69.8, False), (-20, False)):
        energy = float(np.sum((10 ** (level_dbfs / 20) * np.sin(phase)) ** 2))
        assert (energy < limit) is is_silence, level_dbfs


def test_the_card_says_how_it_was_measured(bundle: Bundle) -> None:
    card = bundle.read("card.md").decode()
    for words in ("Passed.", "synthetic textures", "Measured by `pytest`", "## License and limits", "0.900 to 1.000"):
        assert words in card
    assert "| model_int8.tflite | the float network |" in card


class Balanced(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_html_card_is_whole_and_needs_nothing_else(bundle: Bundle) -> None:
    page = bundle.read("card.html").decode()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "src=" not in page
    assert "href=" not in page
