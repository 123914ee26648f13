/** Hues that can be told apart beside each other; lightness and chroma are the same for all. */
const HUES = [255, 25, 145, 310, 75, 195, 350, 110, 285, 50, 225, 165];

/** The colour of a run wherever it is shown: decided by its id alone. */
export function runColor(runId: string): string {
  let hash = 0;
  for (let place = 0; place < runId.length; place++) {
    hash = (hash * 31 + runId.charCodeAt(place)) >>> 0;
  }
  return `oklch(65% 0.15 ${HUES[hash % HUES.length]})`;
}
