import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { Locked } from '../../core';

import type { DoctorModel } from '../model';

/** At the bottom of the panel: how many settings the administrator fixed. */
export class LockedNote extends ReactWidget {
  constructor(private _options: LockedNote.IOptions) {
    super();
    this.addClass('gol-LockedNote');
    _options.model.status.changed.connect(this._sync, this);
    this._sync();
  }

  override dispose(): void {
    Signal.clearData(this);
    super.dispose();
  }

  protected override render(): React.ReactElement {
    const { trans, onDetails } = this._options;
    const locked = this._locked;
    return (
      <button
        type="button"
        className="gol-LockedNote-button"
        title={locked.map(({ name, value }) => `${name}: ${value}`).join('\n')}
        onClick={onDetails}
      >
        <Locked
          trans={trans}
          text={trans._n(
            '%1 setting is locked',
            '%1 settings are locked',
            locked.length
          )}
        />
      </button>
    );
  }

  private get _locked() {
    return this._options.model.status.value?.locked ?? [];
  }

  private _sync(): void {
    this.setHidden(this._locked.length === 0);
    this.update();
  }
}

export namespace LockedNote {
  export interface IOptions {
    model: DoctorModel;
    trans: TranslationBundle;
    /** Show which settings are locked. */
    onDetails: () => void;
  }
}
