import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { CurrentKernel } from './current-kernel';

/** The plugin that has the setting `statusBar`. */
const SETTINGS_ID = 'genops-lab:panel';

/**
 * Whether the status-bar item is shown: with a notebook, unless switched off.
 */
export class StatusItemSwitch {
  constructor(kernel: CurrentKernel, settings: ISettingRegistry | null) {
    this._kernel = kernel;
    kernel.changed.connect(() => this._changed.emit(), this);
    settings
      ?.load(SETTINGS_ID)
      .then(loaded => {
        const apply = () => {
          this._wanted = loaded.get('statusBar').composite !== false;
          this._changed.emit();
        };
        loaded.changed.connect(apply, this);
        apply();
      })
      .catch(reason => {
        console.error('GenOps Lab: the settings cannot be read', reason);
      });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isActive(): boolean {
    return this._wanted && this._kernel.hasNotebook;
  }

  private _kernel: CurrentKernel;
  private _wanted = true;
  private _changed = new Signal<this, void>(this);
}
