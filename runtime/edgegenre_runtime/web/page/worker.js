// All arithmetic, off the page's thread (on it, hundreds of samples would be lost while the page draws).
//
// In: { load }, { begin }, { block, lost, at }, { end }. Out: { ready }, { failed }, { answer }, { frames }, { taken },
// { ended }. Blocks of a microphone come from the worklet by a port of their own.

import { Engine } from "./engine.js";
import { Listener } from "./listener.js";

let engine, bundle, listener, port, id; // id: of the source, in every message about it

async function load(data) {
  bundle = data.bundle;
  engine = await Engine.load(data);
  if (engine.nClasses !== bundle.labels.length) {
    throw new Error(`the network has ${engine.nClasses} classes and the bundle ${bundle.labels.length} labels`);
  }
  const { rateHz, nMels, width, hop, path } = engine;
  postMessage({ ready: { rateHz, nMels, width, hop, path } });
}

function begin({ rateHz, isFile, id: given }, source) {
  id = given;
  if (port) port.close();
  port = source;
  if (port) port.onmessage = ({ data }) => guard(() => take(data));
  listener = new Listener(engine, bundle, rateHz, isFile);
}

function take({ block, lost, at }) {
  if (listener) report(listener.push(block, lost, at === undefined ? 0 : (Date.now() - at) / 1000));
}

function report({ answers, frames }) {
  if (frames.length) postMessage({ id, frames }, [frames.buffer]);
  for (const answer of answers) postMessage({ id, answer });
}

function end() {
  if (port) port.close();
  port = undefined;
  if (!listener) return;
  if (listener.isFile) report(listener.finish());
  postMessage({ id, ended: { isFile: listener.isFile, summary: listener.summary() } });
  listener = undefined;
}

async function guard(work) {
  try {
    await work();
  } catch (error) {
    postMessage({ id, failed: error.message });
  }
}

onmessage = ({ data, ports }) => guard(async () => {
  if (data.load) await load(data.load);
  if (data.begin) begin(data.begin, ports[0]);
  if (data.block) {
    take(data);
    postMessage({ taken: true });
  }
  if (data.end) end();
});
