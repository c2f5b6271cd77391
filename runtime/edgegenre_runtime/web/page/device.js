// The answers of a device that runs edgegenre-run --http, by server-sent events.

// Follow it: calls onAnswer and onEvent with the records of --json, onCells with a window's cells (int8), onState with
// whether there is a connection, onCounts with the sums since the start. The browser connects again by itself.
export function followDevice({ onAnswer, onEvent, onCells, onCounts, onState }) {
  const source = new EventSource("events");
  const on = (name, take) => source.addEventListener(name, ({ data }) => take(JSON.parse(data)));
  on("counts", onCounts);
  on("result", onAnswer);
  on("event", onEvent);
  on("window", ({ cells, n_mels: nMels, width, every_s: everyS, window_s: windowS }) => {
    const bytes = Int8Array.from(atob(cells), (character) => character.charCodeAt(0));
    onCells(bytes, nMels, width, Math.max(1, Math.round(width * Math.min(everyS / windowS, 1))));
  });
  source.onopen = () => onState(true);
  source.onerror = () => onState(false);
}
