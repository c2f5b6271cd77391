"""The page's live analysis against ``edgegenre_runtime.live.analyzer``: the same blocks, the same answers."""

import time

import numpy as np
import pytest
import soundfile
from web_pages import CHROMIUM, Listening

from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"), pytest.mark.slow]

BLOCK = 2048
LIVE = """async ([n, gaps]) => {
  const { Engine, moduleName } = await import("./engine.js"), { Listener } = await import("./listener.js");
  const get = async (name) => (await fetch(name)).arrayBuffer();
  const bundle = await (await fetch("bundle.json")).json(), pcm = new Float32Array(await get("live.f32"));
  const [wasm, mel, net] = await Promise.all([moduleName(), "mel.blob", "net.eg"].map(get));
  const engine = await Engine.load({ wasm, mel, net });
  const listener = new Listener(engine, bundle, engine.rateHz, false), answers = [];
  for (let at = 0; at < pcm.length; at += n) {
    answers.push(...listener.push(pcm.subarray(at, at + n), gaps[at / n] ?? 0).answers);
  }
  return answers;
}"""


@pytest.fixture(scope="module")
def audio(song):
    """Music, silence, noise and music again, float32 at the front-end's rate."""
    music, rate_hz = soundfile.read(song, dtype="float32")
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.05, 14 * rate_hz).astype(np.float32)
    return np.concatenate([music[: 14 * rate_hz], np.zeros(12 * rate_hz, np.float32), noise, music]), rate_hz


@pytest.mark.parametrize("gaps", [{}, {100: 4800, 500: 1, 501: 22050}], ids=["unbroken", "with gaps"])
def test_it_answers_as_the_device_does(context, folder, port, classifier, audio, gaps):
    pcm, rate_hz = audio
    analyzer, expected = Analyzer(classifier), []
    for i, at in enumerate(range(0, len(pcm), BLOCK)):
        block = AudioBlock(pcm[at : at + BLOCK, None], rate_hz, gaps.get(i, 0), time.monotonic())
        expected += analyzer.process(block)
    (folder / "live.f32").write_bytes(pcm.astype("<f4").tobytes())
    found = Listening(context, f"http://127.0.0.1:{port}/")
    answers = found.page.evaluate(LIVE, [BLOCK, {str(i): lost for i, lost in gaps.items()}])
    found.page.close()
    assert len(answers) == len(expected) > 50
    for answer, result in zip(answers, expected, strict=True):
        assert (answer["label"], answer["is_repeated"]) == (result.label, result.is_repeated)
        assert answer["dropped_samples"] == result.dropped_samples
        for name in ("start_s", "end_s", "level_dbfs"):
            assert answer[name] == pytest.approx(getattr(result, name), abs=1e-6), name
        assert answer["probabilities"] == pytest.approx(dict(result.probabilities), abs=1e-5)
    assert {"silence", "noise"} < {answer["label"] for answer in answers}
    assert sum(answer["dropped_samples"] for answer in answers) == sum(gaps.values())
