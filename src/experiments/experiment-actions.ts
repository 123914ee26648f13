import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { GenOpsApi } from '../core';
import { tellFailure } from '../core/commands';
import { titled } from '../core/ui/titled';

import type { RunList } from './run-list';
import type { IExperiment } from './service';

const UNDO_MS = 15000;
/** The experiment of runs that name none; it cannot be deleted. */
export const DEFAULT_EXPERIMENT = '0';

/** Add and delete experiments. Failures become notifications. */
export class ExperimentActions {
  constructor(
    private _api: GenOpsApi,
    private _list: RunList,
    private _trans: TranslationBundle
  ) {}

  /** Ask for a name, add the experiment and choose it. */
  async add(): Promise<void> {
    const { _trans: trans } = this;
    const { button, value } = await titled(
      trans.__('Add an experiment'),
      title =>
        InputDialog.getText({
          title,
          label: trans.__('Name'),
          okLabel: trans.__('Add')
        })
    );
    const name = value?.trim();
    if (!button.accept || !name) {
      return;
    }
    await this._try(async () => {
      const { http } = this._api;
      const added = await this._api.data(
        http.POST('/experiments', { body: { name } })
      );
      await this._choose(added.id);
    });
  }

  /** Delete an experiment without a question, because this can be undone. */
  async delete(experiment: IExperiment): Promise<void> {
    const { _trans: trans } = this;
    const body = { experiment: experiment.id };
    await this._try(async () => {
      const { http } = this._api;
      await this._api.data(http.POST('/experiments/delete', { body }));
      await this._choose('');
      const undo = () =>
        this._try(async () => {
          await this._api.data(http.POST('/experiments/undelete', { body }));
          await this._choose(experiment.id);
        });
      Notification.success(
        trans.__('Experiment “%1” deleted, with its runs.', experiment.name),
        {
          autoClose: UNDO_MS,
          actions: [
            {
              label: trans.__('Undo'),
              caption: trans.__('Restore the experiment with all its runs'),
              callback: () => void undo()
            }
          ]
        }
      );
    });
  }

  private async _choose(experiment: string): Promise<void> {
    await this._list.setQuery({ ...this._list.query, experiment });
  }

  private async _try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (reason) {
      tellFailure(reason, this._trans);
    }
  }
}
