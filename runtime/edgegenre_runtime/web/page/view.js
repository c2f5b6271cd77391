// What the page shows: label, bars, history, counts and problems. It knows nothing of audio.

import { NOISE, SILENCE, UNCERTAIN } from "./analysis.js";
import { answerText } from "./task.js";

const HISTORY_S = 300, MAX_RUNS = 400, LISTED_RUNS = 8;
const GRAYS = { [SILENCE]: "#8884", [NOISE]: "#8888", [UNCERTAIN]: "#888b" };
export const $ = (id) => document.getElementById(id);

export class View {
  constructor() {
    this.runs = []; // { label, color, from, to }, times in seconds
    this.dropped = 0;
    this.pending = null;
    this.colors = {};
  }

  setLabels(labels) {
    labels.forEach((label, i) => { this.colors[label] = `hsl(${Math.round(i * 360 / labels.length)} 60% 50%)`; });
    this.bars = labels.map((label) => this.bar(label));
    $("bars").replaceChildren(...this.bars.map(({ row }) => row));
  }

  bar(label) {
    const row = element("li"), name = element("span", "name", label), meter = element("div", "meter");
    const fill = element("div", "fill"), value = element("span", "value", "");
    const about = { role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 };
    for (const [key, content] of Object.entries(about)) meter.setAttribute(key, content);
    fill.style.background = this.colors[label];
    meter.append(fill);
    row.append(name, meter, value);
    return { label, row, meter, fill, value };
  }

  status(text) { setText($("status"), text); }

  problem(text) {
    setText($("problem"), text ?? "");
    $("problem").hidden = !text;
  }

  // A new source.
  reset(label = "…") {
    this.runs = [];
    this.dropped = 0;
    this.show({ label, probabilities: {} });
  }

  // An answer, drawn with the next picture of the screen; a hidden page draws none.
  show(answer) {
    this.dropped += answer.dropped_samples ?? 0;
    if (answer.end_s !== undefined) this.remember(answer);
    if (this.pending === null) requestAnimationFrame(() => this.draw());
    this.pending = answer;
  }

  remember({ label: given, labels, end_s: endS }) {
    const last = this.runs.at(-1), label = answerText({ label: given, labels });
    const color = this.colors[given] ?? this.colors[labels?.[0]] ?? GRAYS[given] ?? "transparent";
    if (last?.label === label) last.to = endS;
    else this.runs.push({ label, color, from: last ? last.to : 0, to: endS });
    if (this.runs.length > MAX_RUNS) this.runs.shift();
  }

  draw() {
    const { label, labels, probabilities, level_dbfs: level, mel_ms: melMs, network_ms: networkMs } = this.pending;
    this.pending = null;
    setText($("label"), answerText({ label, labels }));
    for (const bar of this.bars) {
      const percent = 100 * (probabilities[bar.label] ?? 0);
      bar.fill.style.width = `${percent}%`;
      bar.meter.setAttribute("aria-valuenow", Math.round(percent));
      setText(bar.value, bar.label in probabilities ? `${percent.toFixed(0)} %` : "");
      bar.row.classList.toggle("best", (labels ?? [label]).includes(bar.label));
    }
    const parts = [`${this.dropped} samples dropped`];
    if (level !== undefined) parts.push(`level ${level.toFixed(0)} dBFS`);
    if (melMs !== undefined) parts.push(`mel ${melMs.toFixed(1)} ms, network ${networkMs.toFixed(1)} ms`);
    setText($("counts"), parts.join(" · "));
    this.drawHistory();
  }

  drawHistory() {
    const now = this.runs.at(-1)?.to ?? 0, since = this.isWhole ? 0 : now - HISTORY_S;
    const shown = this.runs.filter((run) => run.to > since);
    $("strip").replaceChildren(...shown.map((run) => {
      const part = element("span");
      part.style.flexGrow = run.to - Math.max(run.from, since);
      part.style.background = run.color;
      part.title = run.label;
      return part;
    }));
    $("history").replaceChildren(...shown.slice(-LISTED_RUNS).reverse().map((run) =>
      element("li", "", `${clock(run.from)}–${clock(run.to)} ${run.label}`)));
  }
}

function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
}

// Only what changes, or a screen reader would say the same again.
function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

export function clock(seconds) {
  const whole = Math.floor(seconds), minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
