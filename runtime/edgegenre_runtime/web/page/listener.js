// From samples to answers, as edgegenre-run gives them: windows of a stream, gates, smoothing, lost samples.

import { LevelGate, NOISE, SILENCE, Smoother, UNCERTAIN } from "./analysis.js";
import { Task } from "./task.js";

const EVERY_S = 1, SMOOTH_S = 5; // edgegenre-run's --every and --smooth

// One source: a microphone (answers each second, smoothed) or a file (windows that overlap by half, and their mean).
export class Listener {
  // engine: an Engine; bundle: { labels, task, uncertain_below, top_db, music_detector, noise_detector }
  constructor(engine, bundle, rateHz, isFile) {
    this.engine = engine;
    this.bundle = bundle;
    this.task = new Task(bundle.task);
    this.rateHz = rateHz;
    this.isFile = isFile;
    const { width, hop, rateHz: outHz } = engine;
    this.hopFrames = isFile ? Math.max(width >> 1, 1) : Math.max(Math.round(EVERY_S * outHz / hop), 1);
    this.firstFrames = isFile ? width : Math.max(width >> 3, 1);
    this.everyS = this.hopFrames * hop / outHz;
    this.smoother = new Smoother(SMOOTH_S);
    this.gate = new LevelGate(outHz);
    this.originS = this.runSamples = this.dropped = this.skipped = this.nAnswers = 0;
    this.sums = bundle.labels.map(() => 0);
    this.nMusic = this.nSilent = 0;
    this.levelDbfs = -120;
    engine.begin(rateHz);
    this.startWindows();
  }

  startWindows() {
    this.nFrames = 0;
    this.nextEnd = this.firstFrames;
    this.melMs = 0;
  }

  // Take samples; lost of the source's are missing before them, backlogS of audio waits behind them.
  // Returns the answers that became due and the new frames, int16 [n][nMels].
  push(samples, lost = 0, backlogS = 0) {
    if (lost) { // no window holds a gap
      this.originS += (this.runSamples + lost) / this.rateHz;
      this.runSamples = 0;
      this.dropped += lost;
      this.engine.restart();
      this.startWindows();
    }
    this.runSamples += samples.length;
    return this.collect(backlogS, (onPcm, onFrame) => this.engine.push(samples, onPcm, onFrame));
  }

  // End the source. Returns the same; of a file that was too short for a window, that of its frames, repeated.
  finish() {
    const last = this.collect(0, (onPcm, onFrame) => this.engine.flush(onPcm, onFrame));
    if (!this.nAnswers && this.nFrames) {
      this.nextEnd = this.nFrames;
      last.answers.push(this.answer());
    }
    return last;
  }

  collect(backlogS, feed) {
    const answers = [], rows = [];
    let blockDbfs = -120, since = performance.now();
    const onPcm = (pcm) => {
      blockDbfs = this.gate.push(pcm);
      this.levelDbfs = Math.max(this.levelDbfs, blockDbfs);
    };
    const onFrame = (frame) => {
      rows.push(frame.slice());
      this.nFrames++;
      if (this.nFrames < this.nextEnd) return;
      if (backlogS > this.everyS) {
        this.skipped++;
      } else {
        this.melMs += performance.now() - since;
        answers.push(this.answer());
        since = performance.now();
        this.levelDbfs = blockDbfs; // the next answer's audio begins in this block
      }
      const { width } = this.engine; // the first whole window begins with the first frame
      this.nextEnd += this.nextEnd >= width ? this.hopFrames : Math.min(this.hopFrames, width - this.nextEnd);
    };
    feed(onPcm, onFrame);
    this.melMs += performance.now() - since;
    const frames = new Int16Array(rows.length * this.engine.nMels);
    rows.forEach((row, i) => frames.set(row, i * row.length));
    return { answers, frames };
  }

  // The answer for the newest window: the fields of edgegenre-run --json.
  answer() {
    const { width, hop, nFft, rateHz } = this.engine, began = performance.now();
    const { cells, isSilence } = this.engine.window();
    const melMs = this.melMs + performance.now() - began, started = performance.now();
    const nFrames = Math.min(this.nFrames, width), isRepeated = nFrames < width;
    const startS = this.originS + (this.nextEnd - nFrames) * hop / rateHz;
    const endS = this.originS + ((this.nextEnd - 1) * hop + nFft) / rateHz;
    const { label, labels, probabilities, logits } = this.isFile
      ? this.fileLabel(cells, isSilence, endS, isRepeated) : this.liveLabel(cells, isSilence, endS, isRepeated);
    const answer = {
      label, labels, start_s: startS, end_s: endS, is_repeated: isRepeated, level_dbfs: this.levelDbfs,
      probabilities: this.byName(probabilities),
      dropped_samples: this.dropped, skipped_windows: this.skipped, logits,
      mel_ms: melMs, network_ms: performance.now() - started,
    };
    this.dropped = this.skipped = this.melMs = 0;
    this.nAnswers++;
    return answer;
  }

  fileLabel(cells, isSilence, endS, isRepeated) {
    this.nSilent += isSilence;
    if (isSilence) return this.nothing(SILENCE);
    if (!this.isMusic(isRepeated)) return this.nothing(NOISE);
    const { values, logits } = this.engine.classify(), probabilities = this.task.probabilities(values);
    probabilities.forEach((p, i) => { this.sums[i] += p; });
    this.nMusic++;
    const named = this.task.named(probabilities);
    return { ...this.sureAnswer(named, this.smoother.push(probabilities, endS)), probabilities: named, logits };
  }

  // The others have their own thresholds.
  sureAnswer(named, confidences) {
    const isUnsure = this.task.kind === "single" && Math.max(...confidences) < this.bundle.uncertain_below;
    return isUnsure ? { label: UNCERTAIN } : this.task.answer(named);
  }

  // Where less than a window was there and was repeated to fill it, only steady noise is told from music.
  isMusic(isRepeated) {
    const { top_db: topDb, music_detector: fitted, noise_detector: steady } = this.bundle;
    return this.engine.hearsMusic(topDb, isRepeated ? steady : fitted);
  }

  liveLabel(cells, isSilence, endS, isRepeated) {
    if (isSilence || this.gate.isQuiet) return this.nothing(SILENCE);
    if (!this.isMusic(isRepeated)) return this.nothing(NOISE);
    if (isRepeated) this.smoother.reset(); // it holds all that came before it, more of which is no mean of it
    const { values, logits } = this.engine.classify();
    const mean = this.smoother.push(this.task.probabilities(values), endS), named = this.task.named(mean);
    return { ...this.sureAnswer(named, mean), probabilities: named, logits };
  }

  nothing(label) {
    this.smoother.reset();
    return { ...this.task.noGenre(label), probabilities: [] };
  }

  byName(named) { return Object.fromEntries(named.map((p, i) => [this.task.names[i], p])); }

  // The answer for the whole file: the mean over its windows that are music; silence or noise where more than half of
  // them are; null if it was too short for any.
  summary() {
    if (!this.nAnswers) return null;
    const nWithout = this.nAnswers - this.nMusic, isMusic = 2 * nWithout <= this.nAnswers;
    const mean = isMusic ? this.sums.map((sum) => sum / this.nMusic) : [], named = isMusic ? this.task.named(mean) : [];
    const without = 2 * this.nSilent >= nWithout ? SILENCE : NOISE;
    return {
      ...(isMusic ? this.sureAnswer(named, mean) : this.task.noGenre(without)),
      probabilities: this.byName(named),
      end_s: this.originS + ((this.nFrames - 1) * this.engine.hop + this.engine.nFft) / this.engine.rateHz,
    };
  }
}
