import type { PartialJSONObject } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/**
 * What a named view keeps of the charts beside the table, in their own form: they say here
 * what they show, and take what a view that is chosen has.
 */
export class ViewCharts {
  /** What the charts show; null while they are not open. */
  now: PartialJSONObject | null = null;

  /** Emitted when a view that has charts is chosen. */
  get chosen(): ISignal<this, void> {
    return this._chosen;
  }

  /** A view is chosen; null: it has none, and the charts stay as they are. */
  choose(charts: PartialJSONObject | null): void {
    this._wanted = charts;
    if (charts) {
      this._chosen.emit();
    }
  }

  /** What was chosen last, once: charts that are opened later take it then. */
  take(): PartialJSONObject | null {
    const wanted = this._wanted;
    this._wanted = null;
    return wanted;
  }

  private _wanted: PartialJSONObject | null = null;
  private _chosen = new Signal<this, void>(this);
}
