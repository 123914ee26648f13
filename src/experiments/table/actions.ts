import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from '../../core';

import { asCsv, asDataFrame } from './copies';
import type { RunTableModel } from './model';
import type { RunTableService } from './service';

/** Runs that one request changes, so that progress is visible. */
const PORTION = 100;
const UNDO_MS = 15000;
const BRIEF_MS = 4000;
/** Runs that can be compared at once. */
const MOST_COMPARED = 40;

/** Return whether this number of runs can be compared. */
export function canCompare(runs: number): boolean {
  return runs >= 2 && runs <= MOST_COMPARED;
}

/** Actions on the selected runs. Failures become notifications. */
export class RunActions {
  constructor(
    private _model: RunTableModel,
    private _service: RunTableService,
    private _showBeside: (runIds: string[]) => void,
    private _trans: TranslationBundle
  ) {}

  /** Delete runs without a question, because this can be undone. */
  async delete(): Promise<void> {
    const { _service: service, _trans: trans } = this;
    const ids = await this._selected();
    const serving: string[] = [];
    const done = await this._inPortions(
      ids,
      async part => void serving.push(...(await service.delete(part))),
      count => trans._n('Deleting %1 run…', 'Deleting %1 runs…', count)
    );
    if (done.length > 0) {
      this._model.selection.clear();
      if (this._model.opened && done.includes(this._model.opened)) {
        this._model.open(null);
      }
      const goesOn = [...new Set(serving)].map(name =>
        trans.__(
          'Deployment %1 serves a model of a deleted run and keeps running.',
          name
        )
      );
      Notification.success(
        [
          trans._n('%1 run deleted.', '%1 runs deleted.', done.length),
          ...goesOn
        ].join(' '),
        {
          autoClose: UNDO_MS,
          actions: [
            {
              label: trans.__('Undo'),
              caption: trans.__('Restore the runs'),
              callback: () => void this._bringBack(done)
            }
          ]
        }
      );
    }
  }

  /** Restore deleted runs. */
  async restore(): Promise<void> {
    const ids = await this._selected();
    this._model.selection.clear();
    await this._bringBack(ids);
  }

  /** Set a tag on the selected runs. @throws ApiError */
  async tag(key: string, value: string): Promise<void> {
    const { _trans: trans } = this;
    const ids = await this._model.selected();
    for (let from = 0; from < ids.length; from += PORTION) {
      await this._service.tag(ids.slice(from, from + PORTION), {
        [key]: value
      });
    }
    this._model.refresh();
    Notification.success(
      trans._n(
        'The tag %2 is set on %1 run.',
        'The tag %2 is set on %1 runs.',
        ids.length,
        key
      ),
      { autoClose: BRIEF_MS }
    );
  }

  /** Show the selected runs side by side. */
  async compare(): Promise<void> {
    const ids = await this._selected();
    if (ids.length > 0) {
      this._showBeside(ids);
    }
  }

  copyCsv(): Promise<void> {
    return this._copy(asCsv, count =>
      this._trans._n('%1 run copied as CSV.', '%1 runs copied as CSV.', count)
    );
  }

  copyDataFrame(): Promise<void> {
    return this._copy(asDataFrame, count =>
      this._trans._n(
        '%1 run copied as code that makes a DataFrame.',
        '%1 runs copied as code that makes a DataFrame.',
        count
      )
    );
  }

  private async _copy(
    write: typeof asCsv,
    message: (count: number) => string
  ): Promise<void> {
    try {
      const names = this._model.shown.map(({ name }) => name);
      const { ids, frame } = await this._model.frame(
        names.includes('run_id') ? names : ['run_id', ...names]
      );
      if (ids.length > 0) {
        Clipboard.copyToSystem(write(frame));
        Notification.success(message(ids.length), { autoClose: BRIEF_MS });
      }
    } catch (reason) {
      this._tell(reason);
    }
  }

  private async _bringBack(ids: string[]): Promise<void> {
    const { _service: service, _trans: trans } = this;
    const done = await this._inPortions(
      ids,
      part => service.undelete(part),
      count => trans._n('Restoring %1 run…', 'Restoring %1 runs…', count)
    );
    if (done.length > 0) {
      Notification.success(
        trans._n('%1 run restored.', '%1 runs restored.', done.length),
        { autoClose: BRIEF_MS }
      );
    }
  }

  private async _selected(): Promise<string[]> {
    try {
      return await this._model.selected();
    } catch (reason) {
      this._tell(reason);
      return [];
    }
  }

  /** Return the runs for which the work was done. */
  private async _inPortions(
    ids: string[],
    work: (part: string[]) => Promise<void>,
    doing: (count: number) => string
  ): Promise<string[]> {
    const done: string[] = [];
    const shown =
      ids.length > PORTION
        ? Notification.emit(doing(ids.length), 'in-progress', {
            autoClose: false
          })
        : null;
    try {
      for (let from = 0; from < ids.length; from += PORTION) {
        const part = ids.slice(from, from + PORTION);
        await work(part);
        done.push(...part);
        if (shown) {
          Notification.update({
            id: shown,
            message: doing(ids.length),
            type: 'in-progress',
            progress: done.length / ids.length
          });
        }
      }
    } catch (reason) {
      this._tell(reason);
    } finally {
      if (shown) {
        Notification.dismiss(shown);
      }
      this._model.refresh();
    }
    return done;
  }

  private _tell(reason: unknown): void {
    const { message, hint } = ApiError.from(reason, this._trans);
    Notification.error([message, hint].filter(Boolean).join(' '), {
      autoClose: false
    });
  }
}
