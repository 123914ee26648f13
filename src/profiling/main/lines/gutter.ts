/** An editor gutter with the time of each line. */
import type { Extension } from '@codemirror/state';
import { Compartment, StateEffect } from '@codemirror/state';
import type { EditorView } from '@codemirror/view';
import { GutterMarker, gutter } from '@codemirror/view';

import { formatMicroseconds } from '../../figures';
import type { ILineTime } from '../../service';

import type { Basis } from './groups';
import { isSameLine } from './groups';

import '../../../../style/profiling/parts.css';

class TimeMarker extends GutterMarker {
  constructor(
    private _time: ILineTime,
    private _basis: Basis,
    private _share: number,
    private _words: string
  ) {
    super();
  }

  override eq(other: TimeMarker): boolean {
    return other._time === this._time && other._share === this._share;
  }

  override toDOM(): Node {
    const node = document.createElement('span');
    node.className = 'gol-LineTime';
    node.textContent = formatMicroseconds(this._time[this._basis]);
    node.title = this._words;
    node.style.setProperty('--gol-share', this._share.toFixed(3));
    return node;
  }
}

/**
 * The times of a cell's lines, for lines that have not changed since the
 * profile.
 */
function timesGutter(
  times: readonly ILineTime[],
  basis: Basis,
  most: number,
  words: (time: ILineTime) => string
): Extension {
  const byLine = new Map(times.map(time => [time.place.line, time]));
  return gutter({
    class: 'gol-LineTimes',
    lineMarker: (view, { from }) => {
      const line = view.state.doc.lineAt(from);
      const time = byLine.get(line.number);
      return time && isSameLine(time.place.text, line.text)
        ? new TimeMarker(
            time,
            basis,
            most > 0 ? time[basis] / most : 0,
            words(time)
          )
        : null;
    },
    lineMarkerChange: update => update.docChanged
  });
}

/** The visible gutters; each can be removed. */
export class Gutters {
  /** Show times in an editor; they replace earlier ones. */
  show(
    view: EditorView,
    times: readonly ILineTime[],
    basis: Basis,
    most: number,
    words: (time: ILineTime) => string
  ): void {
    const content = timesGutter(times, basis, most, words);
    const place = this._places.get(view);
    if (place) {
      view.dispatch({ effects: place.reconfigure(content) });
    } else {
      const made = new Compartment();
      this._places.set(view, made);
      view.dispatch({
        effects: StateEffect.appendConfig.of(made.of(content))
      });
    }
  }

  has(view: EditorView): boolean {
    return this._places.has(view);
  }

  /** Remove all gutters. */
  clear(): void {
    for (const [view, place] of this._places) {
      view.dispatch({ effects: place.reconfigure([]) });
    }
    this._places.clear();
  }

  private _places = new Map<EditorView, Compartment>();
}
