/** Makes rows of an MLflow data set from traces; the last data set is used again. */
import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IStateDB } from '@jupyterlab/statedb';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { tellFailure, titled } from '../../core';

import type { TracesService } from './service';

const KEY = 'genops-lab:traces-dataset';

export class DatasetRows {
  constructor(
    private _service: Pick<TracesService, 'addRows'>,
    private _state: IStateDB | null,
    private _trans: TranslationBundle
  ) {
    void this._restore();
  }

  /** Emitted when another data set is chosen. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The data set of the last rows; empty before the first. */
  get dataset(): string {
    return this._dataset;
  }

  /** Add traces to the last data set; ask for one if there is none, or if `other` is wanted. */
  async add(traces: string[], other = false): Promise<void> {
    const trans = this._trans;
    const dataset = (!other && this._dataset) || (await this._ask());
    if (!dataset) {
      return;
    }
    try {
      const { rows, added } = await this._service.addRows(traces, dataset);
      this._dataset = dataset;
      this._changed.emit();
      void this._state?.save(KEY, dataset);
      Notification.success(
        added > 0
          ? trans._n(
              '%1 row added to the data set %2. It has %3 rows now.',
              '%1 rows added to the data set %2. It has %3 rows now.',
              added,
              dataset,
              rows
            )
          : trans.__(
              'The data set %1 already has rows with these inputs.',
              dataset
            ),
        { autoClose: 5000 }
      );
    } catch (reason) {
      tellFailure(reason, trans);
    }
  }

  private async _ask(): Promise<string> {
    const trans = this._trans;
    const { button, value } = await titled(trans.__('Add to data set'), title =>
      InputDialog.getText({
        title,
        label: trans.__(
          'Name of the MLflow data set. It is made if it does not exist.'
        ),
        text: this._dataset,
        required: true,
        pattern: '.*\\S.*',
        okLabel: trans.__('Add')
      })
    );
    return (button.accept && value?.trim()) || '';
  }

  private async _restore(): Promise<void> {
    const kept = await this._state?.fetch(KEY);
    if (typeof kept === 'string' && !this._dataset) {
      this._dataset = kept;
      this._changed.emit();
    }
  }

  private _dataset = '';
  private _changed = new Signal<this, void>(this);
}
