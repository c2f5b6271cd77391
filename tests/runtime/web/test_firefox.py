"""The page in Firefox: files get the answers of ``edgegenre-run``."""

import time

import numpy as np
import pytest
import soundfile
from marionette import FIREFOX, firefox

pytestmark = [pytest.mark.skipif(FIREFOX is None, reason="needs firefox-esr"), pytest.mark.slow]

WATCH = """
if (!window.seen) document.addEventListener("edgegenre", (event) => seen.push(event.detail));
window.seen = [];
return 0"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with firefox(tmp_path_factory.mktemp("firefox")) as started:
        yield started


def wait(browser, condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not browser.run(f"return {condition}"):
        assert time.monotonic() < end, browser.run("return document.body.innerText")
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["folder", "single file"])
def test_files_get_the_answers_of_edgegenre_run(browser, classifier, folder, port, song, tmp_path, kind):
    browser.go(f"http://127.0.0.1:{port}/" if kind == "folder" else f"file://{folder}/single.html")
    wait(browser, "document.getElementById('status').textContent === 'Ready'")
    pcm, rate_hz = soundfile.read(song)
    soundfile.write(tmp_path / "stereo.flac", np.stack([pcm, np.roll(pcm, 999) / 2], axis=1), rate_hz)
    for path in (song, tmp_path / "stereo.flac"):
        browser.run(WATCH)
        browser.choose("#file", path)
        wait(browser, "seen.some((m) => m.ended || m.failed)")
        answers = browser.run("return seen.filter((m) => m.answer).map((m) => m.answer)")
        expected = classifier.predict_file(path)
        assert [answer["label"] for answer in answers] == [window.label for window in expected.windows]
        for answer, window in zip(answers, expected.windows, strict=True):
            assert answer["probabilities"] == pytest.approx(dict(window.probabilities), abs=1e-3)


def test_a_file_that_it_cannot_decode_is_one_sentence(browser, port, tmp_path):
    (tmp_path / "text.mp3").write_text("this is no music" * 99)
    browser.go(f"http://127.0.0.1:{port}/")
    wait(browser, "document.getElementById('status').textContent === 'Ready'")
    browser.choose("#file", tmp_path / "text.mp3")
    wait(browser, "!document.getElementById('problem').hidden")
    assert "cannot decode" in browser.run("return document.getElementById('problem').textContent")
