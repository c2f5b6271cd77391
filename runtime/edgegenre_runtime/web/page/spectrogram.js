// A mel spectrogram on a canvas: time to the right, low bands below, 80 dB from dark to bright.

const SPAN = 80 / 3.0103 * 512; // 80 dB in the front-end's unit, 1/512 of an octave of power
const STOPS = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39],
  [252, 255, 164]];

// [256] colors as the four bytes of a pixel.
const COLORS = Array.from({ length: 256 }, (_, level) => {
  const place = level / 255 * (STOPS.length - 1), i = Math.min(Math.floor(place), STOPS.length - 2), part = place - i;
  return [...STOPS[i].map((from, c) => Math.round(from + part * (STOPS[i + 1][c] - from))), 255];
});

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.clear();
  }

  clear() {
    this.loudest = 0;
    this.context.fillStyle = `rgb(${STOPS[0]})`;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  // Add frames int16 [n][nMels] on the right.
  add(frames, nMels) {
    const n = Math.floor(frames.length / nMels), shown = Math.min(n, this.canvas.width), from = n - shown;
    if (!shown) return;
    const loudest = frames.subarray(from * nMels).reduce((a, b) => Math.max(a, b), this.loudest - shown * 4);
    this.loudest = loudest;
    this.scroll(shown);
    this.paint(shown, nMels, this.canvas.width - shown, (m, i) =>
      255 * (1 - (loudest - frames[(from + i) * nMels + m]) / SPAN));
  }

  // Show a window's cells, int8 [nMels][width], the newest `n` columns of them on the right.
  addCells(cells, nMels, width, n) {
    const shown = Math.min(n, width, this.canvas.width);
    this.scroll(shown);
    this.paint(shown, nMels, this.canvas.width - shown, (m, i) => cells[m * width + width - shown + i] + 128);
  }

  scroll(n) { this.context.drawImage(this.canvas, -n, 0); }

  paint(n, nMels, left, level) {
    this.canvas.height === nMels || this.resize(nMels);
    const image = this.context.createImageData(n, nMels);
    for (let m = 0; m < nMels; m++) {
      for (let i = 0; i < n; i++) {
        const color = COLORS[Math.max(0, Math.min(255, Math.round(level(m, i))))];
        image.data.set(color, 4 * ((nMels - 1 - m) * n + i));
      }
    }
    this.context.putImageData(image, left, 0);
  }

  resize(nMels) {
    this.canvas.height = nMels;
    this.clear();
  }
}
