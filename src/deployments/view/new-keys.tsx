import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Callout, CopyButton } from '../../core';
import { titled } from '../../core/ui/titled';

import type { ICallerKey } from '../service';

/** Keys that were just made. They are shown this once: only their hashes are kept. */
export function NewKeys(props: {
  keys: readonly ICallerKey[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { keys, trans } = props;
  return (
    <Callout
      tone="ok"
      title={trans._n(
        'Copy the new key now',
        'Copy the %1 new keys now',
        keys.length
      )}
    >
      <ul className="gol-Keys-new">
        {keys.map(({ name, key }) => (
          <li key={name}>
            <span>{name}</span>
            <code>{key}</code>
            <CopyButton
              text={() => key}
              label={trans.__('Copy the key %1', name)}
              trans={trans}
            />
          </li>
        ))}
      </ul>
      <p>
        {trans.__(
          'A key is not shown again. Send it as “Authorization: Bearer KEY”.'
        )}
      </p>
    </Callout>
  );
}

/** Show new keys until the person closes the dialog. */
export async function showNewKeys(
  keys: readonly ICallerKey[],
  trans: TranslationBundle
): Promise<void> {
  const body = ReactWidget.create(<NewKeys keys={keys} trans={trans} />);
  await titled(trans.__('New keys'), title =>
    showDialog({
      title,
      body,
      buttons: [Dialog.okButton({ label: trans.__('Close') })]
    })
  );
}
