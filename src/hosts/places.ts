import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { MachineModel } from '../kernels/model';
import type { IGenOpsCore } from '../core';

import type { TargetsModel } from './model';
import type { IPlace } from './picker';
import { Picker } from './picker';
import type { QuestionsModel } from './questions';
import type { ITarget } from './service';
import { openPicker } from './view/picker-dialog';

/** Moves notebooks to other places. */
export class Places {
  constructor(private _options: Places.IOptions) {}

  /** Ask where a notebook is to run, connect, and start its kernel there. */
  async choose(notebook: NotebookPanel): Promise<void> {
    const { trans } = this._options.core;
    const picker = await this.pickerOf(notebook);
    const { current } = picker;
    const place = await openPicker({
      picker,
      questions: this._options.questions,
      trans,
      title: trans.__('Where should this notebook run?'),
      action: current ? trans.__('Restart kernel') : trans.__('Start kernel'),
      losesState: current !== ''
    });
    if (place) {
      await this.move(notebook, place);
    }
  }

  /** The choice of a notebook's place; to be disposed by the caller. */
  async pickerOf({ sessionContext }: NotebookPanel): Promise<Picker> {
    const { model, machine, core } = this._options;
    await sessionContext.ready;
    const current = sessionContext.session?.kernel?.name ?? '';
    return new Picker(model, machine, {
      here: this._localKernel(current),
      kernelName: current,
      trans: core.trans
    });
  }

  /** Start a notebook's kernel in a place that is connected. */
  async move({ sessionContext }: NotebookPanel, place: IPlace): Promise<void> {
    const { app, model } = this._options;
    if (place.target) {
      await model.service.chooseNextStart(
        place.target.name,
        sessionContext.path,
        place.environment,
        place.resources
      );
    }
    await app.serviceManager.kernelspecs.refreshSpecs();
    await sessionContext.changeKernel({ name: place.kernelName });
  }

  /**
   * Open a new notebook whose kernel runs on a target; connects first if
   * needed. Rejects where that fails.
   */
  async openNotebook(target: ITarget): Promise<void> {
    const { app } = this._options;
    const { kernelspecs } = app.serviceManager;
    await this._reach(target);
    if (!kernelspecs.specs?.kernelspecs[target.kernel_name]) {
      // The target is new: JupyterLab would ask which kernel the notebook gets.
      await kernelspecs.refreshSpecs();
    }
    await app.commands.execute('notebook:create-new', {
      kernelName: target.kernel_name
    });
  }

  /**
   * Connect to a target if needed, and show the progress. Rejects where that
   * fails.
   */
  private async _reach(target: ITarget): Promise<void> {
    const { model, core } = this._options;
    const { trans } = core;
    if (target.state === 'up' || target.allocates) {
      return;
    }
    const id = Notification.emit(
      trans.__('Connecting to %1…', target.name),
      'in-progress',
      { autoClose: false }
    );
    try {
      await model.reach(target.name);
    } finally {
      Notification.dismiss(id);
    }
  }

  /**
   * A kernel of this machine for a notebook that had another: of the same
   * language, or the server's default.
   */
  private _localKernel(current: string): string {
    const { specs } = this._options.app.serviceManager.kernelspecs;
    const remote = new Set(
      this._options.model.targets?.map(({ kernel_name }) => kernel_name)
    );
    const isLocal = (name: string) =>
      !remote.has(name) && !name.startsWith('genops-');
    if (current && isLocal(current)) {
      return current;
    }
    if (!specs || isLocal(specs.default)) {
      return specs?.default ?? 'python3';
    }
    const names = Object.keys(specs.kernelspecs).filter(isLocal);
    return (
      names.find(
        name => specs.kernelspecs[name]?.language.toLowerCase() === 'python'
      ) ??
      names[0] ??
      specs.default
    );
  }
}

export namespace Places {
  export interface IOptions {
    app: JupyterFrontEnd;
    core: IGenOpsCore;
    model: TargetsModel;
    questions: QuestionsModel;
    machine: MachineModel;
  }
}
