// The audio thread: blocks of 2048 mono samples to the worker, and how many frames the browser skipped before each.

const BLOCK = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = this.lost = 0;
    this.expected = null;
    this.port.onmessage = ({ data }) => { this.worker = data; };
  }

  process([channels]) {
    if (!this.worker || !channels.length) return true;
    if (this.expected !== null) this.lost += currentFrame - this.expected;
    this.expected = currentFrame + channels[0].length;
    for (let i = 0; i < channels[0].length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === BLOCK) this.send();
    }
    return true;
  }

  send() {
    const { block, lost } = this;
    this.worker.postMessage({ block, lost, at: Date.now() }, [block.buffer]);
    this.block = new Float32Array(BLOCK);
    this.filled = this.lost = 0;
  }
}

registerProcessor("capture", Capture);
