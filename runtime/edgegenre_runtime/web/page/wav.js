// WAV files, read piece by piece: exact, and as long as they like.

const BLOCK_FRAMES = 65536;
const READERS = { // format tag and bits to a function of (DataView, offset) to the sample, full scale 1
  "1/8": (view, at) => (view.getUint8(at) - 128) / 128,
  "1/16": (view, at) => view.getInt16(at, true) / 32768,
  "1/24": (view, at) => (view.getInt8(at + 2) * 65536 + view.getUint16(at, true)) / 8388608,
  "1/32": (view, at) => view.getInt32(at, true) / 2147483648,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
};

const slice = async (file, from, to) => new DataView(await file.slice(from, to).arrayBuffer());
const name = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));

// { rateHz, blocks, nSamples } of a WAV file (RIFF or RF64) of a plain format; null for anything else.
export async function openWav(file) {
  const head = await slice(file, 0, 12);
  if (head.byteLength < 12 || !["RIFF", "RF64"].includes(name(head, 0)) || name(head, 8) !== "WAVE") return null;
  let format = null, longBytes = null;
  for (let at = 12; at + 8 <= file.size;) {
    const chunk = await slice(file, at, at + 48), id = name(chunk, 0);
    let bytes = chunk.getUint32(4, true);
    if (id === "ds64") longBytes = chunk.getUint32(16, true) + chunk.getUint32(20, true) * 2 ** 32;
    if (id === "fmt ") format = readFormat(chunk);
    if (id === "data") {
      if (bytes === 0xffffffff && longBytes) bytes = longBytes;
      return format && stream(file, format, at + 8, Math.min(bytes, file.size - at - 8));
    }
    at += 8 + bytes + bytes % 2;
  }
  return null;
}

function readFormat(chunk) {
  let tag = chunk.getUint16(8, true);
  const channels = chunk.getUint16(10, true), rateHz = chunk.getUint32(12, true), bits = chunk.getUint16(22, true);
  if (tag === 0xfffe && chunk.byteLength >= 34) tag = chunk.getUint16(32, true); // extensible: the tag is further on
  const read = READERS[`${tag}/${bits}`];
  return read && channels ? { read, channels, rateHz, sampleBytes: bits / 8 } : null;
}

function stream(file, { read, channels, rateHz, sampleBytes }, from, nBytes) {
  const frameBytes = channels * sampleBytes, nSamples = Math.floor(nBytes / frameBytes);
  async function* blocks() {
    for (let first = 0; first < nSamples; first += BLOCK_FRAMES) {
      const n = Math.min(BLOCK_FRAMES, nSamples - first), at = from + first * frameBytes;
      const view = await slice(file, at, at + n * frameBytes), block = new Float32Array(n);
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += read(view, i * frameBytes + c * sampleBytes);
        block[i] = sum / channels;
      }
      yield block;
    }
  }
  return { rateHz, nSamples, blocks: blocks() };
}
