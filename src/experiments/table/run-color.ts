import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { SERIES } from '../../core/charts/look';

/** The colour of each run, the same in every view. */
export class RunColors {
  /** Emitted when a run's colour changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  of(runId: string): string {
    return SERIES[this._shown.get(runId) ?? preferred(runId)];
  }

  /**
   * Show these runs together. Up to the number of colours each run has its own;
   * above it the colours are used equally often. Runs that were already shown keep
   * their colour if possible.
   */
  show(ids: readonly string[]): void {
    const runIds = [...new Set(ids)];
    const mayRepeat = runIds.length > SERIES.length;
    const counts = SERIES.map(() => 0);
    const now = new Map<string, number>();
    const give = (id: string, place: number) => {
      now.set(id, place);
      counts[place] += 1;
    };
    for (const id of runIds) {
      const place = this._shown.get(id);
      if (place !== undefined && (mayRepeat || counts[place] === 0)) {
        give(id, place);
      }
    }
    for (const id of runIds) {
      if (!now.has(id)) {
        give(id, rarest(counts, preferred(id)));
      }
    }
    const before = this._shown;
    this._shown = now;
    const placeIn = (shown: ReadonlyMap<string, number>, id: string) =>
      shown.get(id) ?? preferred(id);
    const all = [...before.keys(), ...now.keys()];
    if (all.some(id => placeIn(before, id) !== placeIn(now, id))) {
      this._changed.emit();
    }
  }

  private _shown: ReadonlyMap<string, number> = new Map();
  private _changed = new Signal<this, void>(this);
}

/** The colours of this page. */
export const runColors = new RunColors();

/** Return the place of the colour of a run that is shown alone, from its id. */
function preferred(runId: string): number {
  let hash = 0;
  for (let place = 0; place < runId.length; place++) {
    hash = (hash * 31 + runId.charCodeAt(place)) >>> 0;
  }
  return hash % SERIES.length;
}

/** Return the first of the rarest colours, starting at one. */
function rarest(counts: readonly number[], from: number): number {
  const least = Math.min(...counts);
  let place = from;
  while (counts[place] !== least) {
    place = (place + 1) % counts.length;
  }
  return place;
}
