"""The page in Debian's Chromium: the answers of ``edgegenre-run`` from files and the microphone, and offline."""

import contextlib
import os
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from real_audio import encode
from web_pages import CHROMIUM, Listening, same_answers, served

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.web.page import web_folder

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"), pytest.mark.slow]


def test_files_get_the_answers_of_edgegenre_run(listening, classifier, song, tmp_path):
    pcm, rate_hz = soundfile.read(song, dtype="float64")
    stereo = np.stack([pcm, np.roll(pcm, 999) / 2], axis=1)
    files = {
        "24.wav": (stereo, "PCM_24"),
        "f.wav": (pcm, "FLOAT"),
        "16.flac": (pcm, "PCM_16"),
        "8.wav": (pcm, "PCM_U8"),
    }
    for name, (samples, subtype) in files.items():
        soundfile.write(tmp_path / name, samples, rate_hz, subtype=subtype)
    soundfile.write(tmp_path / "short.wav", pcm[:30000], rate_hz)
    soundfile.write(tmp_path / "quiet.wav", np.zeros(300_000), rate_hz)
    for path in (song, *(tmp_path / name for name in [*files, "short.wav", "quiet.wav"])):
        same_answers(listening, classifier, path)


def test_the_larger_bundle_gets_its_answers_in_one_file(context, song, tmp_path):
    accurate = GenreClassifier.load("accurate")
    (tmp_path / "single.html").write_bytes(web_folder(accurate.bundle)["single.html"])
    listening = Listening(context, f"file://{tmp_path}/single.html")
    same_answers(listening, accurate, song)
    assert listening.errors == []
    listening.page.close()


def test_other_rates_and_codecs_get_the_same_label(listening, classifier, song, tmp_path):
    for name, options, tolerance in (
        ("48.wav", ["-ar", "48000"], 0.02),
        ("44.flac", ["-ar", "44100"], 0.02),
        ("a.mp3", ["-ar", "44100", "-b:a", "192k"], None),
        ("a.ogg", ["-c:a", "libvorbis", "-ar", "44100"], None),
        ("a.opus", ["-c:a", "libopus"], None),
    ):
        path = encode(song, tmp_path / name, *options)
        if tolerance is None:  # decoders differ in the delay that they leave in
            assert listening.read(path)[1]["label"] == classifier.predict_file(path).label
        else:
            print(name, same_answers(listening, classifier, path, tolerance))


@pytest.mark.shared
def test_gtzan_clips_get_the_answers_of_edgegenre_run(listening, classifier, shared_dir):
    clips = sorted((shared_dir / "data/gtzan/clips").glob("*.flac"))
    worst = [same_answers(listening, classifier, clip) for clip in clips]
    print(f"{len(clips)} clips, largest difference of a probability {max(worst):.6f}")
    assert len(clips) == 10


def test_the_microphone_is_heard_and_lost_samples_are_counted(listening, classifier, song):
    listening.page.evaluate("seen.length = 0")
    listening.page.click("#listen")
    listening.wait("seen.filter((m) => m.answer).length >= 12")
    assert listening.page.get_attribute("#listen", "aria-pressed") == "true"
    answers = listening.answers
    assert {answer["label"] for answer in answers[-3:]} == {classifier.predict_file(song).label}
    assert answers[0]["is_repeated"]
    assert not answers[-1]["is_repeated"]
    assert "samples dropped" in listening.page.inner_text("#counts")
    assert listening.page.evaluate("seen.some((m) => m.frames)")
    listening.page.click("#listen")
    listening.wait("document.getElementById('status').textContent === 'Stopped'")
    listening.page.wait_for_timeout(300)
    n = len(listening.answers)
    listening.page.wait_for_timeout(1500)
    assert len(listening.answers) == n


def test_it_works_offline_after_one_visit_and_asks_no_other_host(context, folder, song):
    with served(folder) as port:
        first = Listening(context, f"http://localhost:{port}/")
        first.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        first.wait("navigator.serviceWorker.controller !== null")
        first.page.close()
    again = Listening(context, f"http://localhost:{port}/")
    assert again.read(song)[1] is not None
    again.page.click("#listen")
    again.wait("seen.filter((m) => m.answer && m.id === 2).length >= 2")
    for request in (*first.requests, *again.requests):
        address = urlsplit(request)
        assert address.scheme in ("blob", "data") or (address.hostname, address.port) == ("localhost", port)
    again.page.close()


def test_roles_names_and_sizes(context, port):
    found = Listening(context, f"http://127.0.0.1:{port}/")
    page = found.page
    for role, name in (("button", "Listen"), ("button", "Choose a file"), ("meter", "jazz"), ("heading", "History")):
        assert page.get_by_role(role, name=name).count() == 1, (role, name)
    assert "Ready" in page.get_by_role("status").all_inner_texts()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "listen"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    colors = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colors.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colors[0] != colors[1]
    session = context.new_cdp_session(page)
    assert session.send("Page.getAppManifest")["errors"] == []
    assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    page.close()


def test_long_mp3_and_flac_files_are_read_in_pieces(listening, classifier, song, tmp_path):
    rng = np.random.default_rng(0)
    pcm, rate_hz = soundfile.read(song, dtype="int16")
    long = np.tile(pcm, 14)
    noisy = np.stack([long, long], axis=1) // 2 + rng.integers(-9000, 9000, (len(long), 2)).astype(np.int16)
    soundfile.write(tmp_path / "long.flac", noisy, rate_hz)
    soundfile.write(tmp_path / "x.wav", np.tile(pcm, 23), rate_hz)
    mp3 = encode(tmp_path / "x.wav", tmp_path / "long.mp3", "-ar", "44100", "-b:a", "320k")
    for path in (mp3, tmp_path / "long.flac"):
        assert path.stat().st_size > 24 << 20
    same_answers(listening, classifier, tmp_path / "long.flac")
    expected, (answers, summary) = classifier.predict_file(mp3), listening.read(mp3)
    assert abs(len(answers) - len(expected.windows)) <= 1
    assert summary["label"] == expected.label
    agreed = np.mean([a["label"] == w.label for a, w in zip(answers, expected.windows, strict=False)])
    assert agreed > 0.95


def renderer_bytes():
    """Return the resident memory of the largest renderer process."""
    sizes = [0]
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"--type=renderer" in (entry / "cmdline").read_bytes():
                sizes.append(int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return max(sizes)


def test_three_hours_of_wav_are_read_with_flat_memory(context, classifier, port, song, tmp_path):
    pcm, rate_hz = soundfile.read(song, dtype="int16")
    with soundfile.SoundFile(tmp_path / "long.wav", "w", rate_hz, 1, "PCM_16") as long:
        for _ in range(360):
            long.write(pcm)
    found = Listening(context, f"http://127.0.0.1:{port}/")
    found.read(song)
    before = renderer_bytes()
    answers, summary = found.read(tmp_path / "long.wav", 300)
    grown = renderer_bytes() - before
    print(f"{len(answers)} windows, {grown / 1e6:.0f} MB more")
    assert summary["end_s"] == pytest.approx(3 * 3600, abs=1)
    assert summary["label"] == classifier.predict_file(song).label
    assert grown < 100e6  # the file has 476 MB, its samples would be 953, its frames 119
    found.page.close()


@pytest.mark.skipif("EDGEGENRE_SCREENSHOTS" not in os.environ, reason="writes the pictures of docs/web.md")
def test_screenshots(context, port):
    """``EDGEGENRE_SCREENSHOTS=docs/images pytest tests/runtime/web -k screenshots`` writes them."""
    out = Path(os.environ["EDGEGENRE_SCREENSHOTS"])
    found = Listening(context, f"http://127.0.0.1:{port}/")
    found.page.click("#listen")
    found.wait("seen.filter((m) => m.answer).length >= 25", 60)
    for name, size, scheme in (("web", (1000, 760), "light"), ("web_phone", (390, 844), "dark")):
        found.page.set_viewport_size({"width": size[0], "height": size[1]})
        found.page.emulate_media(color_scheme=scheme)
        found.page.wait_for_timeout(400)
        found.page.screenshot(path=out / f"{name}.png")
    found.page.close()
