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

  /** The runs of the table: they have their colours while no charts show any. */
  list(ids: readonly string[]): void {
    this._listed = ids;
    if (!this._charted) {
      this._give(ids);
    }
  }

  /** Show these runs together in charts, until {@link leave}. */
  show(ids: readonly string[]): void {
    this._charted = true;
    this._give(ids);
  }

  /** No charts show runs any more. */
  leave(): void {
    this._charted = false;
    this._give(this._listed);
  }

  /**
   * The first of these runs, up to the number of colours, each have their own;
   * for the others the colours are used equally often. Runs that were already
   * shown keep their colour if possible.
   */
  private _give(ids: readonly string[]): void {
    const runIds = [...new Set(ids)];
    const counts = SERIES.map(() => 0);
    const now = new Map<string, number>();
    const take = (id: string, place: number) => {
      now.set(id, place);
      counts[place] += 1;
    };
    const first = runIds.slice(0, SERIES.length);
    for (const id of first) {
      const place = this._shown.get(id);
      if (place !== undefined && counts[place] === 0) {
        take(id, place);
      }
    }
    for (const id of first) {
      if (!now.has(id)) {
        take(id, rarest(counts, preferred(id)));
      }
    }
    const rest = runIds.slice(SERIES.length);
    for (const id of rest) {
      const place = this._shown.get(id);
      if (place !== undefined) {
        take(id, place);
      }
    }
    for (const id of rest) {
      if (!now.has(id)) {
        take(id, rarest(counts, preferred(id)));
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

  private _listed: readonly string[] = [];
  private _charted = false;
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
