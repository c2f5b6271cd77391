// What is not given a genre, and probabilities over time: the rules of edgegenre_runtime (audio/sound_gate.py and
// network/smoothing.py), with their constants.

export const SILENCE = "silence", NOISE = "noise", UNCERTAIN = "uncertain";
const QUIET_DBFS = -65, QUIET_S = 2;

// Level of PCM, and whether it has been below -65 dBFS (RMS) for two seconds.
export class LevelGate {
  constructor(rateHz) { this.rateHz = rateHz; this.quietS = 0; }

  // int16 samples; returns dB relative to a full-scale square wave, at least -120.
  push(pcm) {
    if (!pcm.length) return -120;
    let sum = 0;
    for (const sample of pcm) sum += sample * sample;
    const levelDbfs = 10 * Math.log10(Math.max(sum / pcm.length / 2 ** 30, 1e-12));
    this.quietS = levelDbfs >= QUIET_DBFS ? 0 : this.quietS + pcm.length / this.rateHz;
    return levelDbfs;
  }

  get isQuiet() { return this.quietS >= QUIET_S; }
}

// An exponential mean of probabilities with a time constant in seconds; 0 turns it off.
export class Smoother {
  constructor(seconds) { this.seconds = seconds; this.reset(); }

  reset() { this.mean = null; this.atS = 0; }

  push(probabilities, atS) {
    const decay = this.mean && this.seconds ? Math.exp((this.atS - atS) / this.seconds) : 0;
    this.mean = probabilities.map((p, i) => decay * (this.mean ? this.mean[i] : 0) + (1 - decay) * p);
    this.atS = atS;
    return this.mean;
  }
}

export const largestAt = (values) => values.indexOf(Math.max(...values));
