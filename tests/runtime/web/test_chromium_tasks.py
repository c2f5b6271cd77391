"""Bundles of several labels and of a tree in the page, in Debian's Chromium: the answers of ``edgegenre-run``."""

import pytest
from web_pages import CHROMIUM, Listening, served

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.web.page import web_folder

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"), pytest.mark.slow]

TREE = [f"{'old' if i % 2 else 'new'}/kind {i % 3}/style {i}" for i in range(10)]
LEVELS = [f"level {level}" for level in (1, 2, 3)]


@pytest.mark.parametrize(
    ("kind", "labels", "threshold"),
    [("multi", None, 0.3), ("multi", None, 1.0), ("hierarchy", TREE, 0.0), ("hierarchy", TREE, 0.6)],
)
def test_files_get_the_answers_of_edgegenre_run(context, classifier, song, tmp_path, kind, labels, threshold):
    shipped = classifier.bundle
    labels = labels or list(shipped.labels)
    about = {"task": kind, "thresholds": dict.fromkeys(LEVELS if kind == "hierarchy" else labels, threshold)}
    files = {name: shipped.read(name) for name in ("net.eg", "model_int8.tflite")}
    bundle = read_bundle(write_bundle(tmp_path / "b", files, tables=shipped.tables, labels=labels, about=about))
    expected = GenreClassifier(bundle).predict_file(song)
    (tmp_path / "page").mkdir()
    for name, content in web_folder(bundle).items():
        (tmp_path / "page" / name).write_bytes(content)
    with served(tmp_path / "page") as port:
        found = Listening(context, f"http://127.0.0.1:{port}/")
        answers, summary = found.read(song)
        assert found.errors == []
        assert len(answers) == len(expected.windows)
        for answer, window in zip([*answers, summary], [*expected.windows, expected], strict=True):
            assert (answer["label"], answer["labels"]) == (window.label, list(window.labels))
            assert answer["probabilities"] == pytest.approx(dict(window.probabilities), abs=1e-5)
        shown = found.page.inner_text("#label")
        text = expected.label.replace("/", " › ").replace(";", ", ")
        assert shown == text
        assert found.page.locator("#bars li").count() == len(bundle.task.names)
        found.page.close()
