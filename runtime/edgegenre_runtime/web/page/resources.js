// The files beside the page; in single.html they are inside of it, gzipped, in the element #resources.

let packed;

function inside() {
  packed ??= JSON.parse(document.getElementById("resources")?.textContent ?? "null");
  return packed;
}

export const isSingleFile = () => inside() !== null;

function base64Bytes(text) { return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)); }

// Content of a file, as an ArrayBuffer. Throws an Error with a sentence.
export async function resource(name) {
  if (!isSingleFile()) {
    const reply = await fetch(name).catch(() => ({ ok: false, status: "no connection" }));
    if (!reply.ok) throw new Error(`${name} cannot be loaded (${reply.status}): copy the whole folder to the server`);
    return reply.arrayBuffer();
  }
  if (!globalThis.DecompressionStream) throw new Error("this browser is too old for the single file: use the folder");
  const stream = new Blob([base64Bytes(inside()[name])]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Address of a script for the audio thread. A page opened as a file may load it from a data: address alone.
export async function scriptUrl(name) {
  if (!isSingleFile()) return name;
  return "data:text/javascript;charset=utf-8," + encodeURIComponent(new TextDecoder().decode(await resource(name)));
}

export async function startWorker() {
  if (!isSingleFile()) return new Worker("worker.js", { type: "module" });
  const address = URL.createObjectURL(new Blob([await resource("worker.js")], { type: "text/javascript" }));
  return new Worker(address);
}
