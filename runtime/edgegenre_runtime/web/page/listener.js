// From samples to answers, as edgegenre-run gives them: windows of a stream, gates, smoothing, lost samples.

import { LevelGate, NOISE, SILENCE, Smoother, UNCERTAIN, isSteadyNoise } from "./analysis.js";
import { Task } from "./task.js";

const EVERY_S = 1, SMOOTH_S = 5; // edgegenre-run's --every and --smooth

// One source: a microphone (answers each second, smoothed) or a file (windows that overlap by half, and their mean).
export class Listener {
  // engine: an Engine; bundle: { labels, task, uncertain_below, top_db }
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
    this.nSounding = 0;
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
      ? this.fileLabel(isSilence) : this.liveLabel(cells, isSilence, endS, isRepeated);
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

  fileLabel(isSilence) {
    if (isSilence) return { ...this.task.noGenre(SILENCE), probabilities: [] };
    const { values, logits } = this.engine.classify(), probabilities = this.task.probabilities(values);
    probabilities.forEach((p, i) => { this.sums[i] += p; });
    this.nSounding++;
    const named = this.task.named(probabilities);
    return { ...this.task.answer(named), probabilities: named, logits };
  }

  liveLabel(cells, isSilence, endS, isRepeated) {
    const { nMels, width } = this.engine;
    if (isSilence || this.gate.isQuiet) return this.nothing(SILENCE);
    if (isSteadyNoise(cells, nMels, width, this.bundle.top_db / 255)) return this.nothing(NOISE);
    if (isRepeated) this.smoother.reset(); // it holds all that came before it, more of which is no mean of it
    const { values, logits } = this.engine.classify();
    const mean = this.smoother.push(this.task.probabilities(values), endS), named = this.task.named(mean);
    const isUnsure = this.task.kind === "single" && Math.max(...mean) < this.bundle.uncertain_below;
    const answer = isUnsure ? { label: UNCERTAIN } : this.task.answer(named); // the others have their own thresholds
    return { ...answer, probabilities: named, logits };
  }

  nothing(label) {
    this.smoother.reset();
    return { ...this.task.noGenre(label), probabilities: [] };
  }

  byName(named) { return Object.fromEntries(named.map((p, i) => [this.task.names[i], p])); }

  // The answer for the whole file: the mean over its windows that are not silence; null if it was too short for any.
  summary() {
    if (!this.nAnswers) return null;
    const named = this.nSounding ? this.task.named(this.sums.map((sum) => sum / this.nSounding)) : [];
    return {
      ...(named.length ? this.task.answer(named) : this.task.noGenre(SILENCE)),
      probabilities: this.byName(named),
      end_s: this.originS + ((this.nFrames - 1) * this.engine.hop + this.engine.nFft) / this.engine.rateHz,
    };
  }
}
