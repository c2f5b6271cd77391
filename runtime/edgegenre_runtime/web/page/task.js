// What the network's outputs mean: one label of several, every label for itself, or the leaves of a tree of labels. The
// rules of edgegenre_runtime/network/task.py; bundle.json has what they need.

import { UNCERTAIN, largestAt } from "./analysis.js";

export class Task {
  // about: { kind, names, thresholds, nodes, top }; nodes of a tree: { leaves, children }, by index
  constructor(about) { Object.assign(this, about); }

  // Probability of each class, from real logits.
  probabilities(values) {
    if (this.kind === "multi") return values.map((value) => 1 / (1 + Math.exp(-value)));
    const largest = Math.max(...values), powers = values.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  // Probability of each of the names: of the classes, or of a tree's nodes.
  named(probabilities) {
    if (this.kind !== "hierarchy") return probabilities;
    return this.nodes.map(({ leaves }) => leaves.reduce((sum, leaf) => sum + probabilities[leaf], 0));
  }

  // { label, labels } for the probabilities of the names; labels is undefined where there is one label at a time.
  answer(named) {
    if (this.kind === "single") return { label: this.names[largestAt(named)] };
    const found = this.kind === "multi" ? this.above(named) : this.descend(named);
    const labels = found.map((i) => this.names[i]);
    if (!labels.length) return this.noGenre(UNCERTAIN);
    return { label: this.kind === "multi" ? labels.join(";") : labels[labels.length - 1], labels };
  }

  noGenre(label) { return this.kind === "single" ? { label } : { label, labels: [] }; }

  above(named) {
    const reached = named.map((_, i) => i).filter((i) => named[i] >= this.thresholds[i]);
    return reached.sort((a, b) => named[b] - named[a]);
  }

  descend(named) {
    const path = [];
    for (let below = this.top; below.length; below = this.nodes[path[path.length - 1]].children) {
      const best = below.reduce((a, b) => named[b] > named[a] ? b : a);
      if (named[best] < this.thresholds[path.length]) break;
      path.push(best);
    }
    return path;
  }
}

// An answer for people: "blues, rock" or "rock › punk". A slash beside a space is part of a name.
export function answerText({ label, labels }) {
  if (!labels?.length) return label;
  if (labels[labels.length - 1] !== label) return labels.join(", ");
  return label.replace(/([^ ])\/(?=[^ ])/g, "$1 › ");
}
