import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/** Hues that can be told apart beside each other; lightness and chroma are the same for all. */
const HUES = [255, 25, 145, 310, 75, 195, 350, 110, 285, 50, 225, 165];

/** The colour of each run, the same wherever it is shown. */
export class RunColors {
  /** Emitted when a run has another colour than before. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  of(runId: string): string {
    return `oklch(65% 0.15 ${HUES[this._shown.get(runId) ?? preferred(runId)]})`;
  }

  /**
   * These are shown together: up to as many as there are hues have each another one, of more
   * each hue has as many as any other. Who was shown before keeps its hue where it can.
   */
  show(ids: readonly string[]): void {
    const runIds = [...new Set(ids)];
    const mayRepeat = runIds.length > HUES.length;
    const counts = HUES.map(() => 0);
    const now = new Map<string, number>();
    const give = (id: string, hue: number) => {
      now.set(id, hue);
      counts[hue] += 1;
    };
    for (const id of runIds) {
      const hue = this._shown.get(id);
      if (hue !== undefined && (mayRepeat || counts[hue] === 0)) {
        give(id, hue);
      }
    }
    for (const id of runIds) {
      if (!now.has(id)) {
        give(id, rarest(counts, preferred(id)));
      }
    }
    const before = this._shown;
    this._shown = now;
    const hueIn = (shown: ReadonlyMap<string, number>, id: string) =>
      shown.get(id) ?? preferred(id);
    const all = [...before.keys(), ...now.keys()];
    if (all.some(id => hueIn(before, id) !== hueIn(now, id))) {
      this._changed.emit();
    }
  }

  private _shown: ReadonlyMap<string, number> = new Map();
  private _changed = new Signal<this, void>(this);
}

/** Those of this page. */
export const runColors = new RunColors();

/** Of a run that is shown alone: decided by its id. */
function preferred(runId: string): number {
  let hash = 0;
  for (let place = 0; place < runId.length; place++) {
    hash = (hash * 31 + runId.charCodeAt(place)) >>> 0;
  }
  return hash % HUES.length;
}

/** The first of the hues that fewest have, from one on. */
function rarest(counts: readonly number[], from: number): number {
  const least = Math.min(...counts);
  let hue = from;
  while (counts[hue] !== least) {
    hue = (hue + 1) % counts.length;
  }
  return hue;
}
