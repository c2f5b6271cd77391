// Audio files as blocks of mono samples at the file's own rate: the browser's decoder would resample, and badly.

import { flacHead, flacHeaderBytes, id3Bytes, mp3Frame } from "./frames.js";
import { openWav } from "./wav.js";

const WHOLE_BYTES = 24 << 20; // what is larger is decoded in pieces, or refused where the browser cannot
const PIECE_BYTES = 1 << 20, LEAD_FRAMES = 12; // MP3 frames decoded again, so that a piece begins as it would amid all
const FILE_BLOCK = 65536;

// { rateHz, blocks, share } of a file: blocks is an async iterator of Float32Array, share() how much of it was read.
// Throws an Error with a sentence.
export async function openAudioFile(file) {
  if (!file.size) throw new Error("the file is empty");
  const wav = await openWav(file);
  if (wav) return { ...wav, share: () => null };
  const head = new Uint8Array(await file.slice(0, 1 << 20).arrayBuffer()), flac = flacHead(head);
  const skipped = id3Bytes(head), mp3 = mp3Frame(head, skipped < head.length ? skipped : 0);
  const progress = { read: 0 }, share = () => progress.read / file.size;
  if (file.size <= WHOLE_BYTES) {
    const rateHz = flac?.rateHz ?? mp3?.rateHz ?? sniffedRate(head);
    return { rateHz, blocks: whole(file, rateHz, flac?.bits === 16), share: () => null };
  }
  if (flac) return { rateHz: flac.rateHz, blocks: pieces(file, flac.bytes, flacCutter(flac), flac, progress), share };
  if (mp3) return { rateHz: mp3.rateHz, blocks: pieces(file, skipped, mp3Cutter(), mp3, progress), share };
  throw new Error(`this file has ${file.size >> 20} MB, and of more than ${WHOLE_BYTES >> 20} MB only WAV, MP3 and FLAC `
    + "can be read in pieces: convert it");
}

// The rate in the header of an Ogg, MP4 or AAC file, else 44100.
function sniffedRate(head) {
  const text = new TextDecoder("latin1").decode(head), view = new DataView(head.buffer);
  const vorbis = text.indexOf("\x01vorbis"), mp4 = text.indexOf("mp4a\0\0\0\0\0\0");
  if (text.includes("OpusHead") || text.startsWith("\x1aE\xdf\xa3")) return 48000;
  if (vorbis > 0 && vorbis + 16 < head.length) return view.getUint32(vorbis + 12, true);
  if (mp4 > 0 && mp4 + 32 < head.length) return view.getUint16(mp4 + 28) || 44100;
  return 44100;
}

async function decode(bytes, rateHz) {
  const context = new OfflineAudioContext(1, 1, rateHz);
  return context.decodeAudioData(bytes);
}

// Mean of the channels. The samples of a 16-bit file are put back on their grid.
function mono(audio, is16) {
  const out = new Float32Array(audio.length);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, c) => audio.getChannelData(c));
  const steps = is16 ? positiveSteps(channels[0]) : 0;
  const exact = (x) => steps ? Math.round(x * (x > 0 ? steps : 32768)) / 32768 : x;
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += exact(channel[i]);
    out[i] = sum / channels.length;
  }
  return out;
}

// What the browser divided positive 16-bit samples by, 32767 or 32768: by which of them the samples are whole numbers.
// (Negative ones are always divided by 32768.) Browsers differ, and one by the decoder.
function positiveSteps(samples) {
  let error = 0;
  const off = (x) => Math.abs(x - Math.round(x));
  for (const x of samples.subarray(0, 1 << 18)) if (x > 0) error += off(x * 32767) - off(x * 32768);
  return error < 0 ? 32767 : 32768;
}

async function decoded(bytes, rateHz, is16) {
  try {
    return mono(await decode(bytes, rateHz), is16);
  } catch (error) {
    throw new Error(`this browser cannot decode the file (${error.message || error.name}): convert it to WAV or MP3`);
  }
}

function* split(samples) {
  for (let at = 0; at < samples.length; at += FILE_BLOCK) yield samples.subarray(at, at + FILE_BLOCK);
}

async function* whole(file, rateHz, is16) {
  yield* split(await decoded(await file.arrayBuffer(), rateHz, is16));
}

// A cutter takes bytes that begin with a frame and returns how many of them to decode, as whole frames (0: none); lead()
// gives the bytes to decode before them, and samples how many of the decoded ones are new (null: all).
function flacCutter({ streamInfo }) {
  return {
    lead: () => streamInfo,
    cut(data) {
      for (let at = data.length - 16; at > 0; at--) if (flacHeaderBytes(data, at)) return { bytes: at, samples: null };
      return { bytes: 0, samples: null };
    },
  };
}

function mp3Cutter() {
  let kept = new Uint8Array(0);
  return {
    lead: () => kept,
    cut(data) {
      const starts = [];
      let at = 0, samples = 0;
      while (at + 4 <= data.length) {
        const frame = mp3Frame(data, at);
        if (!frame) { at++; continue; } // a tag or damage: the decoder skips it too
        if (at + frame.bytes > data.length) break;
        starts.push(at);
        samples += frame.samples;
        at += frame.bytes;
      }
      kept = data.slice(starts.at(-LEAD_FRAMES) ?? at, at);
      return { bytes: at, samples };
    },
  };
}

async function* pieces(file, from, cutter, { rateHz, bits }, progress) {
  let rest = new Uint8Array(0);
  for (let at = from; at < file.size; at += PIECE_BYTES) {
    const next = new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer()), lead = cutter.lead();
    const data = joined(rest, next), isLast = at + PIECE_BYTES >= file.size, { bytes, samples } = cutter.cut(data);
    const end = isLast ? data.length : bytes;
    rest = data.slice(end);
    if (!end) continue;
    const audio = await decoded(joined(lead, data.subarray(0, end)).buffer, rateHz, bits === 16);
    progress.read = at + next.length;
    yield* split(samples === null ? audio : audio.subarray(Math.max(audio.length - samples, 0)));
  }
}

function joined(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
