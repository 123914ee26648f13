import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, closeIcon } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { Callout, IconButton, Locked } from '../../core';

import type { DoctorModel } from '../model';

import '../../../style/doctor/doctor.css';

/** Between the header of the panel and its sections: what the server wants to be known. */
export class NoticesBanner extends ReactWidget {
  constructor(private _options: NoticesBanner.IOptions) {
    super();
    this.addClass('gol-Notices');
    _options.model.noticesChanged.connect(this._sync, this);
    this._sync();
  }

  override dispose(): void {
    Signal.clearData(this);
    super.dispose();
  }

  protected override render(): React.ReactElement {
    const { model, trans, onDetails } = this._options;
    const locked = model.status.value?.locked ?? [];
    return (
      <>
        {model.notices.map(notice => (
          <div key={notice} className="gol-Notices-one" role="status">
            <Callout tone="info" title={notice} />
            <IconButton
              icon={closeIcon}
              label={trans.__('Dismiss this notice')}
              onClick={() => model.dismiss(notice)}
            />
          </div>
        ))}
        {locked.length > 0 && (
          <button
            type="button"
            className="gol-Notices-locked"
            title={locked
              .map(({ name, value }) => `${name}: ${value}`)
              .join('\n')}
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
        )}
      </>
    );
  }

  private _sync(): void {
    const { model } = this._options;
    const nothing =
      model.notices.length === 0 &&
      (model.status.value?.locked.length ?? 0) === 0;
    this.setHidden(nothing);
    this.update();
  }
}

export namespace NoticesBanner {
  export interface IOptions {
    model: DoctorModel;
    trans: TranslationBundle;
    /** Show which settings are locked. */
    onDetails: () => void;
  }
}
