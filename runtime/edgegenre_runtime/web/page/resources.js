// The files beside the page; in single.html they are inside of it, gzipped, in the element #resources.

let packed;

function inside() {
  packed ??= JSON.parse(document.getElementById("resources")?.textContent ?? "null");
  return packed;
}

export const isSingleFile = () => inside() !== null;

// Five characters for four bytes (single_file.py).
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_\x60{|}~";

function base85Bytes([nBytes, text]) {
  const values = new Uint8Array(128), words = new DataView(new ArrayBuffer(text.length / 5 * 4));
  for (let i = 0; i < DIGITS.length; i++) values[DIGITS.charCodeAt(i)] = i;
  for (let at = 0, word = 0; at < text.length; at++) {
    word = word * 85 + values[text.charCodeAt(at)];
    if (at % 5 === 4) {
      words.setUint32((at - 4) / 5 * 4, word);
      word = 0;
    }
  }
  return new Uint8Array(words.buffer, 0, nBytes);
}

// Content of a file, as an ArrayBuffer. Throws an Error with a sentence.
export async function resource(name) {
  if (!isSingleFile()) {
    const reply = await fetch(name).catch(() => ({ ok: false, status: "no connection" }));
    if (!reply.ok) throw new Error(`${name} cannot be loaded (${reply.status}): copy the whole folder to the server`);
    return reply.arrayBuffer();
  }
  if (!globalThis.DecompressionStream) throw new Error("this browser is too old for the single file: use the folder");
  const packed = inside()[name];
  if (!packed) throw new Error("this browser has no WebAssembly SIMD, which the single file needs: use the folder");
  const stream = new Blob([base85Bytes(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Address of a script for the audio thread. A page opened as a file may load it from a data: address alone.
export async function scriptUrl(name) {
  if (!isSingleFile()) return name;
  return "data:text/javascript;charset=utf-8," + encodeURIComponent(new TextDecoder().decode(await resource(name)));
}

// Address of a script inside of single.html.
export async function moduleUrl(name) {
  return URL.createObjectURL(new Blob([await resource(name)], { type: "text/javascript" }));
}

export async function startWorker() {
  return isSingleFile() ? new Worker(await moduleUrl("worker.js")) : new Worker("worker.js", { type: "module" });
}
