// The page: it connects the buttons, the microphone or a file, the worker and the view.
// Every message of the worker or the device is also an event `edgegenre` of the document.

import { openAudioFile } from "./audio_file.js";
import { followDevice } from "./device.js";
import { moduleName } from "./engine.js";
import { obstacle, openMicrophone } from "./microphone.js";
import { isSingleFile, resource, startWorker } from "./resources.js";
import { Spectrogram } from "./spectrogram.js";
import { $, View, clock } from "./view.js";

const BUNDLE_FORMAT = 1;
const view = new View(), spectrogram = new Spectrogram($("spectrogram"));
const announce = (detail) => document.dispatchEvent(new CustomEvent("edgegenre", { detail }));
let worker, facts, source = null, nSources = 0;
const waiting = []; // for the worker to have taken a block

async function readBundle() {
  const bundle = JSON.parse(new TextDecoder().decode(await resource("bundle.json")));
  if (bundle.format !== BUNDLE_FORMAT) {
    throw new Error(`bundle.json has format ${bundle.format}, this page reads ${BUNDLE_FORMAT}: make the folder again`);
  }
  return bundle;
}

async function startAnalysis(bundle) {
  if (!globalThis.WebAssembly) throw new Error("this browser has no WebAssembly: update it, or take another one");
  const [wasm, mel, net] = await Promise.all([moduleName(), "mel.blob", "net.eg"].map(resource));
  worker = await startWorker();
  await new Promise((resolve, reject) => {
    worker.onerror = () => reject(new Error("the page's worker cannot be started: update the browser"));
    worker.onmessage = ({ data }) => {
      if (data.ready) resolve(data.ready);
      if (data.failed) reject(new Error(`${data.failed} (mel.blob or net.eg): make the folder again with edgegenre web`));
    };
    worker.postMessage({ load: { wasm, mel, net, bundle } }, [wasm, mel, net]);
  }).then((ready) => { facts = ready; });
  worker.onmessage = ({ data }) => take(data);
}

function take(message) {
  if (message.taken) waiting.shift()?.();
  if (message.id !== source?.id) return; // of a source that was stopped
  announce(message);
  if (message.frames) spectrogram.add(message.frames, facts.nMels);
  if (message.answer) view.show(message.answer);
  if (message.failed) fail(message.failed);
  if (message.ended) ended(message.ended);
}

function begin(name, isFile) {
  stop();
  source = { id: ++nSources, name, isFile };
  view.isWhole = isFile;
  view.problem(null);
  view.reset();
  spectrogram.clear();
  return source;
}

function stop() {
  source?.close?.();
  if (source) worker.postMessage({ end: true });
  source = null;
  $("listen").textContent = "Listen";
  $("listen").setAttribute("aria-pressed", "false");
}

function fail(sentence) {
  stop();
  view.status("Ready");
  view.problem(sentence);
  announce({ failed: sentence });
}

async function listen() {
  if (source && !source.isFile) {
    stop();
    view.status("Stopped");
    return;
  }
  const reason = obstacle();
  if (reason) return fail(reason);
  const mine = begin("microphone", false);
  view.status("Waiting for the microphone");
  const microphone = await openMicrophone(() => source === mine && fail("the microphone is gone: connect it again"));
  if (source !== mine) return microphone.close();
  mine.close = microphone.close;
  worker.postMessage({ begin: { id: mine.id, rateHz: microphone.rateHz, isFile: false } }, [microphone.port]);
  $("listen").textContent = "Stop";
  $("listen").setAttribute("aria-pressed", "true");
  view.status(`Listening to ${microphone.name || "the microphone"} at ${microphone.rateHz} Hz`);
  navigator.wakeLock?.request("screen").then((lock) => { mine.close = () => { lock.release(); microphone.close(); }; },
    () => {});
}

async function readFile(file) {
  const mine = begin(file.name, true);
  view.status(`Reading ${file.name}`);
  const audio = await openAudioFile(file);
  if (source !== mine) return;
  worker.postMessage({ begin: { id: mine.id, rateHz: audio.rateHz, isFile: true } });
  let n = 0;
  for await (const block of audio.blocks) {
    if (source !== mine) return;
    n += block.length;
    const taken = new Promise((resolve) => waiting.push(resolve)); // one block at a time: memory stays flat
    worker.postMessage({ block });
    await taken;
    view.status(`Reading ${file.name}, ${clock(n / audio.rateHz)}`);
  }
  if (source === mine) worker.postMessage({ end: true });
}

function ended({ summary }) {
  const { name } = source;
  source = null;
  if (!summary) return fail(`${name} is too short: at least one frame of audio is needed`);
  view.status(`${name}: mean of ${clock(summary.end_s)}`);
  view.show({ ...summary, end_s: undefined });
}

// A click or a choice: what goes wrong is shown as one sentence.
const guarded = (work) => async (event) => {
  try {
    await work(event);
  } catch (error) {
    fail(error.message);
  }
};

async function useBrowser(bundle) {
  await startAnalysis(bundle);
  $("listen").onclick = guarded(listen);
  $("choose").onclick = () => $("file").click();
  $("file").onchange = guarded(async ({ target }) => {
    const [file] = target.files;
    if (file) await readFile(file);
    target.value = ""; // the same file may be chosen again
  });
  for (const id of ["listen", "choose"]) $(id).disabled = false;
  if ("serviceWorker" in navigator && isSecureContext && !isSingleFile()) {
    navigator.serviceWorker.register("sw.js").catch((error) => console.warn(`not kept for offline use: ${error}`));
  }
}

function useDevice({ name }) {
  $("controls").hidden = true;
  $("privacy").textContent = "Answers of the device; its audio stays there. ";
  for (const page of ["status.json", "metrics"]) {
    const link = document.createElement("a");
    Object.assign(link, { href: page, textContent: page });
    $("privacy").append(link, " ");
  }
  view.status(`Connecting to ${name}`);
  followDevice({
    onAnswer: (answer) => {
      announce({ answer });
      view.problem(null);
      view.status(`Live: ${name}`);
      view.show({ ...answer, dropped_samples: 0 });
    },
    onCounts: (counts) => { view.dropped = counts.dropped_samples; },
    onEvent: (event) => {
      announce({ event });
      view.problem(["lost", "zeros", "behind", "output"].includes(event.event) ? event.message : null);
    },
    onCells: (...cells) => spectrogram.addCells(...cells),
    onState: (isConnected) => view.status(isConnected ? `Live: ${name}` : "The device does not answer; trying again"),
  });
}

try {
  const bundle = await readBundle();
  view.setLabels(bundle.task?.names ?? bundle.labels);
  view.reset("–");
  if (bundle.device) {
    useDevice(bundle.device);
  } else {
    await useBrowser(bundle);
    view.status("Ready");
  }
  announce({ ready: facts ?? {} });
} catch (error) {
  view.status("");
  view.problem(`Not ready: ${error.message}`);
  announce({ failed: error.message });
}
