"""The web page's module beside MediaPipe's web runtime in one Chromium: time a window, answers, and who is asked.

    edgegenre export --int8 --out mine.bundle --web page
    npm install @mediapipe/tasks-audio@1.0.1
    python scripts/compare_web.py page mine.bundle/model_audio.tflite node_modules/@mediapipe/tasks-audio music.wav

The music must be at the front-end's rate. It waits 66 s for what the runtimes send by themselves.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import soundfile
from playwright.sync_api import Page, sync_playwright

from script_output import until_closed

PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import { Engine, moduleName } from "./engine.js";
import { AudioClassifier, FilesetResolver } from "./mediapipe/audio_bundle.mjs";
const get = async (name) => (await fetch(name)).arrayBuffer();
const timed = async (work) => { const began = performance.now(); return [await work(), performance.now() - began]; };
const least = (values) => Math.min(...values); // other programs only ever add
const best = (values) => values.indexOf(Math.max(...values));
const softmax = (values) => { // of one label of several
  const powers = values.map((value) => Math.exp(value - Math.max(...values))), sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};
const pcm = new Float32Array(await get("pcm.f32")), { labels } = await (await fetch("bundle.json")).json();
const [engine, oursReady] = await timed(async () => Engine.load({
  wasm: await get(moduleName()), mel: await get("mel.blob"), net: await get("net.eg") }));
const [mediapipe, theirsReady] = await timed(async () => AudioClassifier.createFromOptions(
  await FilesetResolver.forAudioTasks("./mediapipe/wasm"), { baseOptions: { modelAssetPath: "model_audio.tflite" } }));
const n = (engine.width - 1) * engine.hop + engine.nFft, ours = [], theirs = [];
let windows = 0, same = 0, worst = 0;
for (let at = 0; at + n <= pcm.length; at += n, windows++) {
  const window = pcm.slice(at, at + n), nothing = () => {};
  engine.begin(engine.rateHz);
  const [a, aMs] = await timed(() => {
    engine.push(window, nothing, nothing); engine.window(); return softmax(engine.classify().values);
  });
  const [b, bMs] = await timed(() => mediapipe.classify(window, engine.rateHz));
  const scores = new Map(b[0].classifications[0].categories.map((c) => [c.categoryName, c.score]));
  const p = labels.map((label) => scores.get(label) ?? 0);
  ours.push(aMs); theirs.push(bMs);
  worst = Math.max(worst, ...p.map((value, i) => Math.abs(value - a[i])));
  same += best(p) === best(a);
}
globalThis.result = { windows, same_class: same, largest_probability_difference: worst, ours_ms: least(ours),
  mediapipe_ms: least(theirs), ratio: least(theirs) / least(ours), ours_ready_ms: oursReady,
  mediapipe_ready_ms: theirsReady };
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def wait_for_result(page: Page) -> object:
    """Return what the page computed; raises TimeoutError after two minutes."""
    for _ in range(600):
        found = page.evaluate("globalThis.result ?? null")
        if found is not None:
            return found
        page.wait_for_timeout(200)
    raise TimeoutError("no result")


def main(folder: Path, model: Path, mediapipe: Path, music: Path) -> None:
    """Print sizes, times and answers of both, and the hosts that were asked."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        site = Path(shutil.copytree(folder, Path(temporary) / "site"))
        shutil.copytree(mediapipe, site / "mediapipe")
        shutil.copy(model, site / "model_audio.tflite")
        (site / "pcm.f32").write_bytes(soundfile.read(music, dtype="float32", always_2d=True)[0].mean(axis=1).tobytes())
        (site / "compare.html").write_text(PAGE)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page, sizes, hosts = browser.new_page(), dict.fromkeys(("ours", "mediapipe"), 0), set()
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        names: list[str] = []
        page.on("response", lambda response: names.append(urlsplit(response.url).path.lstrip("/")))
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/compare.html")
        print(json.dumps(wait_for_result(page), indent=1))
        for name in set(names) - {"compare.html", "pcm.f32", "bundle.json"}:
            if (site / name).is_file():
                is_theirs = name.startswith(("mediapipe", "model_audio"))
                sizes["mediapipe" if is_theirs else "ours"] += (site / name).stat().st_size
        print("bytes loaded:", sizes)
        page.wait_for_timeout(66_000)
        print("other hosts asked:", sorted(hosts - {"127.0.0.1", "", None}) or "none")
        browser.close()
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with until_closed():
        main(*map(Path, sys.argv[1:]))
