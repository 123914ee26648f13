import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/**
 * Hues that can be told apart side by side; lightness and chroma are the same
 * for all.
 */
const HUES = [255, 25, 145, 310, 75, 195, 350, 110, 285, 50, 225, 165];

/** The colour of each run, the same in every view. */
export class RunColors {
  /** Emitted when a run's colour changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  of(runId: string): string {
    return `oklch(65% 0.15 ${HUES[this._shown.get(runId) ?? preferred(runId)]})`;
  }

  /**
   * Show these runs together. Up to the number of hues each run has its own;
   * above it the hues are used equally often. Runs that were already shown keep
   * their hue if possible.
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

/** The colours of this page. */
export const runColors = new RunColors();

/** Return the hue of a run that is shown alone, from its id. */
function preferred(runId: string): number {
  let hash = 0;
  for (let place = 0; place < runId.length; place++) {
    hash = (hash * 31 + runId.charCodeAt(place)) >>> 0;
  }
  return hash % HUES.length;
}

/** Return the first of the rarest hues, starting at one. */
function rarest(counts: readonly number[], from: number): number {
  const least = Math.min(...counts);
  let hue = from;
  while (counts[hue] !== least) {
    hue = (hue + 1) % counts.length;
  }
  return hue;
}
