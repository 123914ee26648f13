import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ActionButton, IconButton, useRevision } from '../core';
import { LOAD_EXTENSION } from '../core/notebook';

import type { StartModel } from './model';

/** The first steps for a new user. */
export function StartHere(props: StartHere.IProps): React.ReactElement | null {
  const { model, trans, onQuickstart, onLoad } = props;
  useRevision(model.changed);
  if (!model.begins) {
    return null;
  }
  return (
    <section className="gol-StartHere" aria-label={trans.__('Start here')}>
      <div className="gol-StartHere-head">
        <strong>{trans.__('Start here')}</strong>
        <IconButton
          icon={closeIcon}
          label={trans.__('Close “Start here”')}
          onClick={() => model.end()}
        />
      </div>
      <p>
        {trans.__(
          'The quickstart tracks, profiles and deploys a small model. It takes a few minutes.'
        )}
      </p>
      <p>
        {trans.__('In your own notebook, run this first:')}{' '}
        <code>{LOAD_EXTENSION}</code>
      </p>
      <div className="gol-Actions">
        <ActionButton
          label={trans.__('Open the quickstart')}
          primary
          onClick={onQuickstart}
        />
        <ActionButton
          label={trans.__('Insert this line')}
          caption={trans.__('Insert %1 into the notebook', LOAD_EXTENSION)}
          onClick={onLoad}
        />
      </div>
    </section>
  );
}

export namespace StartHere {
  export interface IProps {
    model: StartModel;
    trans: TranslationBundle;
    /** Open the quickstart notebook. */
    onQuickstart: () => void;
    /** Insert the line that loads the magics into the notebook. */
    onLoad: () => void;
  }
}
