"""The page on a library: what it says, that names cannot break it, and how it looks to a browser."""

from __future__ import annotations

import hashlib
import os
import re
import sys

import numpy as np
import pytest
from web_pages import CHROMIUM

from edgegenre.cli import main
from edgegenre.library import duplicates, report, track_map
from edgegenre.library.duplicates import near_duplicates
from edgegenre.library.report import library_page
from edgegenre.library.track_map import map_tracks
from edgegenre_runtime.library import Library
from edgegenre_runtime.library.records import Analysis

NAMES = ("jazz", "rock", "<i>`pop`")
EVIL = b'/music/a/<script>alert("1")</script>*x*`y`\\z\xe9\x1b\n.mp3'
DESCRIBED = {"name": "bundle<b>", "labels": list(NAMES), "embedding_dims": 8, "task": "single"}


@pytest.fixture(autouse=True)
def without_umap(monkeypatch):
    """UMAP compiles for half a minute; one test asks for it."""
    monkeypatch.setattr(track_map, "find_spec", lambda name: None)


def put(library, path, vector, *, p=(0.1, 0.6, 0.3), label=None, content=None, length_s=200.0, error=None):
    best = NAMES[int(np.argmax(p))]
    bundle = library.add_bundle("a" * 64, DESCRIBED)
    if error is not None:
        library.put(path, Analysis(size=1, mtime_ns=1, error=error), bundle, 10)
        return
    library.put(
        path,
        Analysis(
            size=2_500_000,
            mtime_ns=1,
            content_hash=content or hashlib.sha256(path).digest(),
            duration_s=length_s,
            label=label or best,
            genres=() if label else (best,),
            confidence=max(p),
            probabilities=np.array(p, np.float32),
            embedding=None if vector is None else np.asarray(vector, np.float16),
            n_windows=3,
        ),
        bundle,
        10,
    )


@pytest.fixture
def library(tmp_path):
    rng = np.random.default_rng(3)
    with Library.open(tmp_path / "l.sqlite", create=True) as opened:
        for i in range(60):
            sure = 0.5 + i / 200
            put(opened, b"/music/%02d.mp3" % i, rng.normal(size=8), p=(sure, 1 - sure, 0.0), length_s=100.0 + 3 * i)
        song = rng.normal(size=8)
        put(opened, b"/music/song.flac", song, length_s=300.2)
        put(opened, b"/music/song.mp3", song + 0.001, length_s=300.6)
        put(opened, b"/music/longer.mp3", song, length_s=310.0)
        put(opened, b"/music/copy one.mp3", rng.normal(size=8), content=b"c" * 32)
        put(opened, b"/music/copy two.mp3", rng.normal(size=8), content=b"c" * 32)
        put(opened, EVIL, rng.normal(size=8), p=(0.1, 0.2, 0.7), length_s=50.0)
        put(opened, b"/music/unsure.mp3", rng.normal(size=8), p=(0.2, 0.35, 0.45), label="uncertain", length_s=60.0)
        put(opened, b"/music/silence.mp3", None, label="silence")
        put(opened, b"/music/broken.mp3", None, error="<b>no audio</b>\n")
        opened.commit()
        yield opened


def rows_below(page, text):
    """The cells of the table that follows a text."""
    table = page.split(text, 1)[1].split("<table>", 1)[1].split("</table>", 1)[0]
    return [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")[2:]]


def test_the_page_counts_and_lists_what_is_in_the_library(library):
    page = library_page(library, "edgegenre library report", 0.995)
    assert "68 tracks" in page
    assert "1 files could not be read, 0 are gone" in page
    bars = dict(re.findall(r'text-anchor="end">([^<]*)</text>\n<rect[^>]*>\n<text[^>]*>(\d+)<', page))
    assert bars["jazz"] == "60"
    assert (bars["rock"], bars["uncertain"], bars["silence"]) == ("5", "1", "1")
    assert (bars["0.5 to 0.6"], bars["0.6 to 0.7"], bars["0.0 to 0.1"]) == ("20", "25", "0")
    doubtful = rows_below(page, "The least probable answers: 66.")
    assert doubtful[0] == ["/music/00.mp3", "jazz", "0.50", "rock 0.50"]
    assert [row[0] for row in doubtful[1:3]] == ["/music/01.mp3", "/music/02.mp3"]
    assert rows_below(page, "no genre: 2.")[1] == ["/music/unsure.mp3", "uncertain", "&lt;i&gt;`pop` 0.45"]
    assert [row[2] for row in rows_below(page, "a copy of another one: 1.")] == [
        "/music/copy one.mp3",
        "/music/copy two.mp3",
    ]
    ((similarity, length, *files),) = rows_below(page, "pairs: 1.")
    assert (float(similarity) > 0.999, length, set(files)) == (True, "301 s", {"/music/song.flac", "/music/song.mp3"})
    assert page.count("<circle") == 67 + 4  # all but silence, and the legend
    assert "(PCA)" in page


def test_names_and_reasons_cannot_break_the_page(library):
    page = library_page(library, 'edgegenre </code><script>"', 0.995)
    assert "<script" not in page
    assert "<b>" not in page
    assert page.encode()
    assert r"/music/a/&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;*x*`y`\z\xe9\x1b\n.mp3</td>" in page
    assert "&lt;b&gt;no audio&lt;/b&gt;\\n" in page
    assert "default-src 'none'" in page


def test_a_large_library_gets_a_sample_and_short_lists(library, monkeypatch):
    monkeypatch.setattr(report, "_MAP_TRACKS", 20)
    monkeypatch.setattr(report, "_SHOWN", 5)
    page = library_page(library, "c", -1.0)
    assert "a random sample of 20 of 67 tracks" in page
    assert page.count("<circle") < 20 + 5
    assert len(rows_below(page, "The least probable answers: 66, the first 5 rows here.")) == 5
    assert page == library_page(library, "c", -1.0)


def test_blocks_of_rows_find_the_pairs_that_all_at_once_finds(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 6)).astype(np.float16)
    lengths = rng.uniform(0, 30, 300)
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    cosines = unit @ unit.T
    cosines[np.abs(lengths[:, None] - lengths) > 1.0] = -2
    np.fill_diagonal(cosines, -2)
    expected = {tuple(sorted((i, int(row.argmax())))) for i, row in enumerate(cosines) if row.max() >= 0.8}
    assert len(expected) > 20
    shown = []
    for rows in (7, 64, 1024):
        monkeypatch.setattr(duplicates, "_BLOCK_ROWS", rows)
        shown.clear()
        pairs = near_duplicates(vectors, lengths, 0.8, 1.0, lambda *at: shown.append(at))
        assert shown[-1] == (len(shown), len(shown))
        assert {(pair.one, pair.other) for pair in pairs} == expected
        assert [pair.similarity for pair in pairs] == sorted((pair.similarity for pair in pairs), reverse=True)
        for pair in pairs:
            assert pair.similarity == pytest.approx(cosines[pair.one, pair.other], abs=1e-5)


@pytest.mark.parametrize("vectors", [np.ones((1, 8)), np.ones((5, 8)), np.zeros((3, 8)), np.eye(2)])
def test_a_map_of_few_or_equal_tracks(vectors):
    positions, method = map_tracks(vectors.astype(np.float16))
    assert method == "PCA"
    assert positions.shape == (len(vectors), 2)
    assert np.isfinite(positions).all()


def test_tracks_that_sound_alike_lie_together():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 16)).repeat(40, axis=0)
    positions, _ = map_tracks((centers + 0.1 * rng.normal(size=centers.shape)).astype(np.float16))
    assert separation(positions) > 5
    assert (positions.min(), positions.max()) == (0, 1)


@pytest.mark.slow
def test_umap_is_taken_where_it_is_installed(monkeypatch):
    pytest.importorskip("umap")
    monkeypatch.undo()
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 16)).repeat(40, axis=0)
    positions, method = map_tracks((centers + 0.1 * rng.normal(size=centers.shape)).astype(np.float16))
    assert method == "UMAP"
    assert separation(positions) > 5


def separation(positions):
    """Distance between the centers of three groups of 40 by the spread inside them."""
    groups = positions.reshape(3, 40, 2)
    centers = groups.mean(axis=1)
    least = min(np.linalg.norm(centers[i] - centers[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    return least / groups.std(axis=1).max()


def run(library, out, *more):
    return main(["library", "report", "--db", str(library.path), "--out", str(out), *more])


def test_the_command_writes_one_file(library, tmp_path, capsys):
    assert run(library, tmp_path / "page.html") == 0
    assert re.fullmatch(rf"{tmp_path}/page.html: \d\d kB\n", capsys.readouterr().out)
    assert "Music library l.sqlite" in (tmp_path / "page.html").read_text("utf-8")
    assert sorted(os.listdir(tmp_path)) == ["l.sqlite", "l.sqlite-shm", "l.sqlite-wal", "page.html"]


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("page.txt", "must end in .html"),
        ("none/page.html", "cannot write, there is no folder"),
        ("folder.html", "cannot write, it is a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(library, tmp_path, capsys, out, said):
    (tmp_path / "folder.html").mkdir()
    assert run(library, tmp_path / out) == 2
    problem = capsys.readouterr().err
    assert said in problem
    assert problem.count("\n") == 1


def test_an_empty_library_is_one_line(tmp_path, capsys):
    with Library.open(tmp_path / "e.sqlite", create=True) as empty:
        assert run(empty, tmp_path / "page.html") == 2
        empty.add_bundle("a" * 64, DESCRIBED)
        empty.commit()
        assert run(empty, tmp_path / "page.html") == 2
    problem = capsys.readouterr().err
    assert problem.count("the library is empty: run  edgegenre library scan MUSIC") == 2
    assert problem.count("\n") == 2
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("module", ["jinja2", "sklearn"])
def test_a_missing_extra_is_named(library, tmp_path, capsys, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert run(library, tmp_path / "page.html") == 2
    problem = capsys.readouterr().err
    assert "pip install 'edgegenre[library-report]'" in problem
    assert problem.count("\n") == 1


def test_a_library_of_broken_files_alone(tmp_path):
    with Library.open(tmp_path / "b.sqlite", create=True) as broken:
        put(broken, b"/music/broken.mp3", None, error="no audio")
        broken.commit()
        page = library_page(broken, "c", 0.995)
    assert "No track has an embedding" in page
    assert rows_below(page, "could not be read: 1.") == [["/music/broken.mp3", "no audio"]]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_chromium_shows_the_page_without_a_request(playwright, library, tmp_path):
    assert run(library, tmp_path / "page.html") == 0
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, headless=True, args=["--no-sandbox", "--disable-gpu"]
    )
    page = browser.new_page()
    said, requests = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"file://{tmp_path}/page.html")
    assert page.locator(".scatter circle").count() == 67
    assert page.locator(".bars").count() == 2
    width = page.evaluate("document.querySelector('.scatter').getBoundingClientRect().width")
    titles = page.evaluate("[...document.querySelectorAll('.scatter title')].map((title) => title.textContent)")
    circle = page.locator(".scatter circle").nth(0)
    circle.hover(force=True)
    stroke = page.evaluate(
        "[...document.querySelectorAll('.scatter circle:hover')].map((c) => getComputedStyle(c).strokeWidth)"
    )
    browser.close()
    assert width > 300
    assert "song.flac\nmusic\nrock 0.60" in titles
    assert any(title.startswith("script>*x*`y`\\z\\xe9\\x1b\\n.mp3\n") for title in titles)
    assert stroke == ["2px"]
    assert said == []
    assert requests == [f"file://{tmp_path}/page.html"]
