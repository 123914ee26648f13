import { Notification } from '@jupyterlab/apputils';
import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore } from '../core';
import type { IAttention } from '../panel/tokens';

import { DIVERGED, divergences } from './diverged';
import type { ExperimentsService, IRun } from './service';
import { runName } from './view/messages';

/**
 * The tag of a sweep's trials: many may diverge, and the sweep's own view shows
 * it.
 */
const SWEEP = 'genops.sweep';
/** Notifications of this kind that are visible at once. */
const MOST_VISIBLE = 2;

/**
 * Notifies once for each running run that its metrics became NaN or infinite.
 */
export class DivergenceNotices implements IDisposable {
  constructor(private _options: DivergenceNotices.IOptions) {}

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._shown.forEach(id => Notification.dismiss(id));
  }

  /** Ask for a run that diverged, and notify of it. */
  look(id: string): void {
    this._options.service.run(id).then(
      ({ run }) => this._show(run),
      // The panel and the table show the failure too, when MLflow answers
      // again.
      () => undefined
    );
  }

  private _show(run: IRun): void {
    const message = this._message(run);
    if (this._isDisposed || !message || run.tags[SWEEP]) {
      return;
    }
    this._attend(run.run_id, message);
    const shown = this._shown.get(run.run_id);
    if (shown) {
      // A notification that the user closed stays closed.
      Notification.update({ id: shown, message });
      return;
    }
    const { core, open } = this._options;
    const id = Notification.error(message, {
      autoClose: false,
      actions: [
        {
          label: core.trans.__('Open run'),
          caption: core.trans.__('Show the run and its curves'),
          callback: () => open(run.run_id)
        }
      ]
    });
    this._shown.set(run.run_id, id);
    [...this._shown.values()]
      .filter(each => Notification.manager.has(each))
      .slice(0, -MOST_VISIBLE)
      .forEach(each => Notification.dismiss(each));
  }

  /** Say it in the panel, too, until a person looks at the run or dismisses it. */
  private _attend(runId: string, text: string): void {
    const { core, open, attend } = this._options;
    const { trans } = core;
    const tell = () => attend([...this._attended.values()]);
    const dismiss = () => {
      this._attended.delete(runId);
      tell();
    };
    this._attended.set(runId, {
      id: runId,
      tone: 'error',
      text,
      since: this._attended.get(runId)?.since ?? Date.now() / 1000,
      action: {
        label: trans.__('Open run'),
        caption: trans.__('Show the run and its curves'),
        execute: () => {
          dismiss();
          open(runId);
        }
      },
      dismiss
    });
    tell();
  }

  private _message(run: IRun): string {
    const { trans } = this._options.core;
    const [first, ...others] = divergences(run.tags[DIVERGED]);
    if (!first) {
      return '';
    }
    const { metric, value, step } = first;
    const at = step.toLocaleString();
    const name = runName(run);
    return others.length === 0
      ? trans.__(
          'Run “%1”: the metric “%2” is %3 since step %4.',
          name,
          metric,
          value,
          at
        )
      : trans._n(
          'Run “%2”: the metric “%3” is %4 since step %5. %1 more metric is not finite.',
          'Run “%2”: the metric “%3” is %4 since step %5. %1 more metrics are not finite.',
          others.length,
          name,
          metric,
          value,
          at
        );
  }

  /** What the panel says, by ids of runs. */
  private _attended = new Map<string, IAttention>();
  /** Ids of notifications by ids of runs. */
  private _shown = new Map<string, string>();
  private _isDisposed = false;
}

export namespace DivergenceNotices {
  export interface IOptions {
    core: Pick<IGenOpsCore, 'trans'>;
    service: Pick<ExperimentsService, 'run'>;
    /** Show a run. */
    open: (runId: string) => void;
    /** Say in the panel which runs diverged. */
    attend: (items: readonly IAttention[]) => void;
  }
}
