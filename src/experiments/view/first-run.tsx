import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { EmptyState } from '../../core';

const TRACK = '%%track';

/** Explains how to make the first run; shown in place of an empty list. */
export function FirstRun(props: {
  onInsert: () => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { trans } = props;
  return (
    <EmptyState
      text={
        <>
          {trans.__('No runs yet. Track a cell that trains:')}{' '}
          <code>{TRACK}</code>{' '}
          {trans.__('records its parameters, live metrics and source.')}
        </>
      }
      actions={[
        {
          label: trans.__('Insert a %1 cell', TRACK),
          caption: trans.__('Insert a starter cell into the notebook'),
          primary: true,
          onClick: props.onInsert
        }
      ]}
    />
  );
}
