// The microphone: its samples as they are, at the rate that the system gives; resampling is ours.

import { scriptUrl } from "./resources.js";

const REASONS = {
  NotAllowedError: "the microphone was not allowed: allow it for this page in the browser's site settings",
  SecurityError: "the microphone was not allowed: allow it for this page in the browser's site settings",
  NotFoundError: "there is no microphone: connect one, or choose a file",
  NotReadableError: "the microphone is in use by another program, or its driver failed: close that program",
};

// Why there can be no microphone here, as a sentence; null if there can.
export function obstacle() {
  if (!isSecureContext) {
    return "Browsers give the microphone to https, localhost and local files alone, and this page came by plain http. "
      + "Choose a file here, or open the page by https.";
  }
  if (!navigator.mediaDevices?.getUserMedia) return "This browser has no microphone for web pages. Choose a file.";
  if (!globalThis.AudioWorkletNode) return "This browser has no AudioWorklet, which listening needs. Choose a file.";
  return null;
}

// Open it. Returns { rateHz, port, name, close }: the port gives blocks, as capture.js sends them. onEnd is called if
// the microphone goes away. Throws an Error with a sentence.
export async function openMicrophone(onEnd) {
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `the microphone cannot be opened (${error.message})`);
  }
  const context = new AudioContext(), [track] = stream.getAudioTracks(), { port1, port2 } = new MessageChannel();
  const close = () => { track.stop(); return context.close(); };
  try {
    await context.audioWorklet.addModule(await scriptUrl("capture.js"));
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    node.port.postMessage(port1, [port1]);
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
  } catch (error) {
    close();
    throw new Error(`the microphone cannot be read (${error.message})`);
  }
  track.onended = onEnd;
  return { rateHz: context.sampleRate, port: port2, name: track.label, close };
}
