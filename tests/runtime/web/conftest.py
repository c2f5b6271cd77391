"""What the tests of the web page share: a bundle's page, a song, and one Chromium."""

import itertools

import pytest
import soundfile
from web_pages import Listening, chromium, served

from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.web.page import web_folder


@pytest.fixture(scope="package")
def classifier():
    return GenreClassifier.load()


@pytest.fixture(scope="package")
def folder(classifier, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    for name, content in web_folder(classifier.bundle).items():
        (out / name).write_bytes(content)
    return out


@pytest.fixture(scope="package")
def song(classifier, tmp_path_factory):
    """A piece of toy music of which the network is sure throughout, whichever network ships."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    for seed, style in itertools.product(range(6), STYLES):
        soundfile.write(path, render(style, seed, 30.0), 22050)
        answer = classifier.predict_file(path)
        if min(window.probabilities.get(answer.label, 0) for window in answer.windows) > 0.5:
            return path
    raise AssertionError("the network is sure of no piece")


@pytest.fixture(scope="package")
def context(playwright, song, tmp_path_factory):
    with chromium(playwright, tmp_path_factory.mktemp("profile"), microphone=song) as started:
        yield started


@pytest.fixture(scope="package")
def port(folder):
    with served(folder) as found:
        yield found


@pytest.fixture(params=["folder", "single file"])
def listening(request, context, folder, port):
    address = f"http://127.0.0.1:{port}/" if request.param == "folder" else f"file://{folder}/single.html"
    found = Listening(context, address)
    yield found
    assert found.errors == []
    found.page.close()
