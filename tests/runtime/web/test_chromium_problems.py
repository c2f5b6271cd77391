"""What goes wrong in the page is one sentence, in Debian's Chromium."""

import numpy as np
import pytest
import soundfile
from web_pages import CHROMIUM, Listening, chromium, same_answers, served

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"), pytest.mark.slow]


def test_damaged_files_of_the_folder_are_named(context, folder, tmp_path):
    for name, change, words in (
        ("net.eg", lambda content: content[:-4], "cut short"),
        ("net.eg", lambda content: content[:8] + b"\x63" + content[9:], "version"),
        ("mel.blob", lambda content: content[:8] + b"\x09" + content[9:], "version"),
        ("mel.blob", lambda _: b"", "Not ready"),
        ("bundle.json", lambda content: content.replace(b'"format": 1', b'"format": 7'), "format 7"),
        ("bundle.json", lambda content: content.replace(b'"blues", ', b""), "9 labels"),
    ):
        here = tmp_path / f"{name}{len(list(tmp_path.iterdir()))}"
        here.mkdir()
        for path in folder.iterdir():
            (here / path.name).write_bytes(path.read_bytes())
        (here / name).write_bytes(change((folder / name).read_bytes()))
        with served(here) as other:
            found = Listening(context, f"http://127.0.0.1:{other}/")
            assert words in found.problem, found.problem
            assert found.page.is_disabled("#listen")
            found.page.close()


def test_files_that_cannot_be_read_are_one_sentence(listening, tmp_path, song):
    (tmp_path / "text.mp3").write_text("this is no music" * 99)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "big.ogg").write_bytes(b"OggS" + bytes(25 << 20))
    soundfile.write(tmp_path / "blink.wav", np.zeros(100), 22050)
    for name, words in (
        ("text.mp3", "cannot decode"), ("empty.wav", "empty"), ("big.ogg", "25 MB"), ("blink.wav", "too short"),
    ):  # fmt: skip
        assert listening.read(tmp_path / name)[1] is None
        assert words in listening.problem
    assert listening.read(song)[1] is not None  # and it goes on
    assert listening.problem == ""


def test_without_simd_the_plain_module_gives_the_same_answers(context, classifier, port, song):
    context.add_init_script("if (location.hash === '#plain') WebAssembly.validate = () => false;")
    found = Listening(context, f"http://127.0.0.1:{port}/#plain")
    assert found.page.evaluate("seen.find((m) => m.ready).ready.path") == "portable"
    same_answers(found, classifier, song)
    found.page.close()


@pytest.mark.parametrize(
    ("hash_", "script", "words"),
    [
        ("#nosimd", "WebAssembly.validate = () => false;", "no WebAssembly SIMD, which the single file needs"),
        ("#nostream", "delete globalThis.DecompressionStream;", "too old for the single file: use the folder"),
    ],
)
def test_what_the_single_file_needs_more_is_said(context, folder, hash_, script, words):
    context.add_init_script(f"if (location.hash === '{hash_}') {{ {script} }}")
    found = Listening(context, f"file://{folder}/single.html{hash_}")
    assert words in found.problem
    found.page.close()


@pytest.mark.parametrize(
    ("hash_", "script", "words"),
    [
        ("#nowasm", "delete globalThis.WebAssembly;", "no WebAssembly"),
        ("#noworklet", "delete globalThis.AudioWorkletNode;", "no AudioWorklet"),
        ("#nomic", "navigator.mediaDevices.getUserMedia = undefined;", "no microphone"),
    ],
)
def test_browsers_that_lack_something_say_what(context, port, hash_, script, words):
    context.add_init_script(f"if (location.hash === '{hash_}') {{ {script} }}")
    found = Listening(context, f"http://127.0.0.1:{port}/{hash_}")
    if found.page.is_enabled("#listen"):
        found.page.click("#listen")
        found.wait("!document.getElementById('problem').hidden")
    assert words in found.problem
    found.page.close()


def test_no_permission_no_microphone_and_plain_http(playwright, port, tmp_path, classifier, song):
    with chromium(playwright, tmp_path / "a", "--host-resolver-rules=MAP pi.lan 127.0.0.1") as context:
        for address, words in ((f"http://127.0.0.1:{port}/", "microphone"), (f"http://pi.lan:{port}/", "plain http")):
            found = Listening(context, address)
            found.page.click("#listen")
            found.wait("!document.getElementById('problem').hidden")
            assert words in found.problem
            same_answers(found, classifier, song)
            found.page.close()
    with chromium(
        playwright, tmp_path / "b", "--use-fake-device-for-media-stream", "--deny-permission-prompts"
    ) as context:
        found = Listening(context, f"http://127.0.0.1:{port}/")
        found.page.click("#listen")
        found.wait("!document.getElementById('problem').hidden")
        assert "not allowed" in found.problem
