// The WebAssembly module (runtime/c/wasm/edgegenre_web.c): samples in; mel frames, windows and logits out.

// The smallest module with a SIMD128 instruction; a browser that refuses it gets the plain build.
const SIMD_PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);
const MODULE_BLOCK = 8192; // samples given to the module at a time

export function moduleName() {
  return WebAssembly.validate(SIMD_PROBE) ? "edgegenre.wasm" : "edgegenre_plain.wasm";
}

export class Engine {
  // wasm: bytes of the module; mel: mel.blob; net: net.eg (ArrayBuffers). Throws an Error with a sentence.
  static async load({ wasm, mel, net }) {
    const { instance } = await WebAssembly.instantiate(wasm);
    return new Engine(instance.exports, mel, net);
  }

  constructor(exports, mel, net) {
    this.c = exports;
    this.check(this.c.eg_load(this.put(mel), mel.byteLength, this.put(net), net.byteLength));
    const [rateHz, nFft, hop, nMels, width, nClasses, zero] = new Int32Array(this.memory, this.c.eg_facts(), 7);
    Object.assign(this, { rateHz, nFft, hop, nMels, width, nClasses, zero });
    this.scale = new Float32Array(this.memory, this.c.eg_facts() + 28, 1)[0];
    this.path = this.text(this.c.eg_path());
  }

  get memory() { return this.c.memory.buffer; } // another object after the memory has grown

  put(bytes) {
    const at = this.c.eg_alloc(bytes.byteLength);
    if (!at) throw new Error("there is not enough memory");
    new Uint8Array(this.memory, at, bytes.byteLength).set(new Uint8Array(bytes));
    return at;
  }

  text(at) {
    const bytes = new Uint8Array(this.memory, at);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  check(code) {
    if (code) throw new Error(this.text(this.c.eg_error(code)));
  }

  // Begin a source of that rate; what was before is forgotten.
  begin(rateHz) {
    this.check(this.c.eg_begin(rateHz, MODULE_BLOCK));
    this.samples = this.c.eg_alloc(4 * MODULE_BLOCK);
    if (!this.samples) throw new Error("there is not enough memory");
  }

  // Go on behind a gap: no frame holds samples of both sides.
  restart() { this.check(this.c.eg_restart()); }

  // Take Float32Array samples. onPcm gets the int16 samples at the front-end's rate, onFrame each int16 [nMels] frame;
  // both are views that are good during the call alone.
  push(samples, onPcm, onFrame) {
    for (let at = 0; at < samples.length; at += MODULE_BLOCK) {
      const part = samples.subarray(at, at + MODULE_BLOCK);
      new Float32Array(this.memory, this.samples, part.length).set(part);
      this.frames(this.c.eg_resample(this.samples, part.length), onPcm, onFrame);
    }
  }

  // End the source: what the resampler still holds.
  flush(onPcm, onFrame) { this.frames(this.c.eg_flush(), onPcm, onFrame); }

  frames(nPcm, onPcm, onFrame) {
    if (nPcm < 0) throw new Error("the resampler refused a block");
    onPcm(new Int16Array(this.memory, this.c.eg_pcm(), nPcm));
    for (let first = 0; first < nPcm; first += this.hop) { // at most a hop, so that at most one frame ends
      if (this.c.eg_frames(first, Math.min(this.hop, nPcm - first))) {
        onFrame(new Int16Array(this.memory, this.c.eg_frame(), this.nMels));
      }
    }
  }

  // The window of the newest frames (of all so far, repeated, where they are fewer): cells int8 [nMels][width].
  window() {
    const isSilence = this.c.eg_window() === 1;
    return { cells: new Int8Array(this.memory, this.c.eg_cells(), this.nMels * this.width), isSilence };
  }

  // Whether that window is music; detector is { rows, bias } of the statistics in the module.
  hearsMusic(topDb, detector) {
    const values = [...detector.rows.flat(), detector.bias];
    new Float64Array(this.memory, this.c.eg_detector(), values.length).set(values);
    const found = this.c.eg_music(topDb);
    if (found < 0) throw new Error("the detector of music does not take windows of this size");
    return found === 1;
  }

  // The network's int8 logits of that window, and their real values.
  classify() {
    this.check(this.c.eg_network());
    const logits = Array.from(new Int8Array(this.memory, this.c.eg_logits(), this.nClasses));
    return { logits, values: logits.map((logit) => (logit - this.zero) * this.scale) };
  }
}
