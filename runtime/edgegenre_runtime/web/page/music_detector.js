// Is this window music at all? The statistics and the regression of edgegenre_runtime (audio/music_detector.py).

const LARGEST = 4, DETAIL_BANDS = 9, STEADY_DB = 3;

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviationOf = (values) => {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
};
const ascending = (values) => Float64Array.from(values).sort();
const middleOf = (values) => {
  const sorted = ascending(values), n = sorted.length;
  return (sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2;
};

// Level of each frame's cells above their smooth spectrum, [nMels] rows.
function detailOf(db) {
  const half = DETAIL_BANDS >> 1, top = db.length - 1;
  return db.map((row, m) => row.map((value, t) => {
    let sum = 0;
    for (let k = m - half; k <= m + half; k++) sum += db[Math.min(Math.max(k, 0), top)][t];
    return value - sum / DETAIL_BANDS;
  }));
}

// cells int8 [nMels][width]; stepDb is the dB of a cell, hopS the time from frame to frame.
export function windowStatistics(cells, nMels, width, stepDb, hopS) {
  const lagOf = (seconds) => Math.min(Math.max(Math.round(seconds / hopS), 1), width >> 1);
  const db = [], frames = Array.from({ length: width }, (_, t) => t);
  for (let m = 0; m < nMels; m++) db.push(Float64Array.from(cells.subarray(m * width, (m + 1) * width), (c) => (c + 128) * stepDb));
  const all = Float64Array.from(cells, (c) => (c + 128) * stepDb);
  const level = frames.map((t) => db.reduce((sum, row) => sum + row[t], 0) / nMels);
  const bands = db.map(meanOf), deviation = db.map(deviationOf);
  const sounding = deviation.filter((_, m) => 2 * db[m].filter((value) => value > 0).length > width);
  const detail = detailOf(db);
  const size = frames.map((t) => Math.sqrt(detail.reduce((sum, row) => sum + row[t] ** 2, 0) / nMels));
  const lines = detail.map((row) => row.map((value, t) => value / (size[t] + 1e-3)));
  const tone = [0.07, 0.28, 1.1].map(lagOf).map((lag) => {
    let sum = 0;
    for (const row of lines) for (let t = lag; t < width; t++) sum += row[t] * row[t - lag];
    return sum / nMels / (width - lag);
  });
  const lag = lagOf(0.07), onsets = new Float64Array(width - lag);
  let moved = 0;
  for (const row of db) {
    for (let t = lag; t < width; t++) {
      moved += Math.abs(row[t] - row[t - lag]);
      onsets[t - lag] += Math.max(row[t] - row[t - lag], 0) / nMels;
    }
  }
  const sorted = ascending(level), tenth = Math.floor(width / 10);
  const low = sorted[tenth], middle = sorted[width >> 1], high = sorted[width - 1 - tenth];
  return [
    sounding.length ? middleOf(sounding) : 0,
    ascending(deviation)[nMels - 1 - Math.floor(nMels / 10)],
    all.filter((value) => value < 1).length / all.length,
    deviationOf(all),
    deviationOf(level),
    middle - low,
    high - middle,
    meanOf(size),
    deviationOf(size),
    ...tone,
    deviationOf(detail.map(meanOf)) / (meanOf(size) + 1e-3),
    rhythmOf(onsets, lagOf),
    moved / nMels / (width - lag),
    deviationOf(onsets),
    deviationOf(level) / (meanOf(deviation) + 0.1),
    deviationOf(bands),
    meanOf(bands.slice(1).map((value, m) => Math.abs(value - bands[m]))),
  ];
}

// The highest autocorrelation of the onsets 0.25 to 1.2 s apart, -1 to 1.
function rhythmOf(onsets, lagOf) {
  const mean = meanOf(onsets), n = onsets.length, centered = onsets.map((value) => value - mean);
  const within = (lag) => Math.min(lag, n >> 1);
  const energy = centered.reduce((sum, value) => sum + value * value, 1e-3);
  const first = Math.max(within(lagOf(0.25)), 2), end = Math.max(within(lagOf(1.2)), first + 1);
  let largest = -Infinity;
  for (let lag = first; lag < end; lag++) {
    let sum = 0;
    for (let t = lag; t < n; t++) sum += centered[t] * centered[t - lag];
    largest = Math.max(largest, sum / energy);
  }
  return largest;
}

// statistics as above; detector is the bundle's, or null: then music is what moves more than steady noise.
export function hearsMusic(statistics, detector) {
  if (!detector) return statistics[0] >= STEADY_DB;
  let score = detector.bias;
  detector.rows.forEach(([center, scale, weight, ofSquare], i) => {
    const one = Math.min(Math.max((statistics[i] - center) / scale, -LARGEST), LARGEST);
    score += weight * one + ofSquare * one * one;
  });
  return score >= 0;
}
