// Where the frames of MP3 and FLAC files begin, so that long files are decoded piece by piece.

const BITRATES = { 3: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320], // kbit/s of MPEG-1
  2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160] }; // and of MPEG-2 and 2.5
const RATES = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] };

// The MP3 frame (layer III) at an offset: { bytes, samples, rateHz }; null if there is none.
export function mp3Frame(data, at) {
  if (data[at] !== 0xff || (data[at + 1] & 0xe6) !== 0xe2) return null;
  const version = data[at + 1] >> 3 & 3, rateHz = RATES[version]?.[data[at + 2] >> 2 & 3];
  const kbits = BITRATES[version === 3 ? 3 : 2][data[at + 2] >> 4], samples = version === 3 ? 1152 : 576;
  if (!rateHz || !kbits) return null;
  return { bytes: Math.floor(samples / 8 * kbits * 1000 / rateHz) + (data[at + 2] >> 1 & 1), samples, rateHz };
}

// Bytes of an ID3v2 tag at the beginning, 0 if there is none.
export function id3Bytes(data) {
  if (String.fromCharCode(...data.subarray(0, 3)) !== "ID3") return 0;
  return 10 + data.subarray(6, 10).reduce((size, byte) => size << 7 | byte & 127, 0);
}

// Head of a FLAC file: { rateHz, bits, bytes, streamInfo }; null if it is none.
export function flacHead(data) {
  if (String.fromCharCode(...data.subarray(0, 4)) !== "fLaC" || data.length < 42) return null;
  let bytes = 4, isLast = false;
  while (!isLast && bytes + 4 <= data.length) {
    isLast = data[bytes] >= 128;
    bytes += 4 + (data[bytes + 1] << 16 | data[bytes + 2] << 8 | data[bytes + 3]);
  }
  const info = data.slice(8, 42);
  const rateHz = info[10] << 12 | info[11] << 4 | info[12] >> 4, bits = ((info[12] & 1) << 4 | info[13] >> 4) + 1;
  info.fill(0, 14); // no number of samples and no checksum: a piece has others
  info[13] &= 0xf0;
  const streamInfo = Uint8Array.of(0x66, 0x4c, 0x61, 0x43, 0x80, 0, 0, 34, ...info);
  return { rateHz, bits, bytes, streamInfo };
}

// Bytes of the header of the FLAC frame at an offset, 0 if there is none: sync, fields and their CRC-8.
export function flacHeaderBytes(data, at) {
  if (data[at] !== 0xff || (data[at + 1] & 0xfe) !== 0xf8 || data[at + 3] & 1) return 0;
  const number = data[at + 4], more = number < 128 ? 0 : Math.clz32(~(number << 24)) - 1;
  const size = data[at + 2] >> 4, rate = data[at + 2] & 15;
  const n = 5 + more + (size === 6 ? 1 : size === 7 ? 2 : 0) + (rate === 12 ? 1 : rate === 13 || rate === 14 ? 2 : 0);
  if (at + n >= data.length || size === 0 || rate === 15) return 0;
  let crc = 0;
  for (let i = at; i < at + n; i++) {
    crc ^= data[i];
    for (let bit = 0; bit < 8; bit++) crc = crc & 128 ? crc << 1 & 255 ^ 7 : crc << 1;
  }
  return crc === data[at + n] ? n + 1 : 0;
}
