import type { Cell } from '@jupyterlab/cells';
import type { CodeMirrorEditor } from '@jupyterlab/codemirror';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMicroseconds } from '../../figures';
import type { ILineTime } from '../../service';

import type { Basis } from './groups';
import { basisOf, forwardOf } from './groups';
import type { Gutters } from './gutter';

/**
 * Times next to a notebook's code, also in cells whose editors are created
 * later.
 */
export class ShownTimes {
  constructor(
    private _panel: NotebookPanel,
    readonly profileId: string,
    lines: readonly ILineTime[],
    private _gutters: Gutters,
    private _trans: TranslationBundle
  ) {
    for (const line of lines) {
      const cell = this._byCell.get(line.place.cell) ?? [];
      cell.push(line);
      this._byCell.set(line.place.cell, cell);
    }
    this._basis = basisOf(lines);
    this._most = Math.max(...lines.map(time => time[this._basis]));
    const { content } = _panel;
    content.cellInViewportChanged.connect(this._onCell, this);
    content.widgets.forEach(cell => this._onCell(content, cell));
  }

  dispose(): void {
    if (!this._panel.isDisposed) {
      this._panel.content.cellInViewportChanged.disconnect(this._onCell, this);
      this._gutters.clear();
    }
  }

  private _onCell(_: unknown, cell: Cell): void {
    const times = this._byCell.get(cell.model.id);
    const view = (cell.editor as CodeMirrorEditor | null)?.editor;
    if (times && view && !this._gutters.has(view)) {
      this._gutters.show(view, times, this._basis, this._most, time =>
        this._words(time)
      );
    }
  }

  private _words(time: ILineTime): string {
    if (this._basis === 'cpu_us') {
      return this._trans.__('%1 on the CPU', formatMicroseconds(time.cpu_us));
    }
    return this._trans.__(
      '%1 on the device: %2 forward, %3 backward, %4 GPU kernels; %5 on the CPU',
      formatMicroseconds(time.device_us),
      formatMicroseconds(forwardOf(time)),
      formatMicroseconds(time.backward_us),
      time.kernels,
      formatMicroseconds(time.cpu_us)
    );
  }

  private _byCell = new Map<string, ILineTime[]>();
  private _basis: Basis;
  private _most: number;
}
