import type { TranslationBundle } from '@jupyterlab/translation';
import { lockIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** Says that an administrator fixed a setting. */
export function Locked(props: Locked.IProps): React.ReactElement {
  const { trans, text } = props;
  return (
    <span
      className="gol-Locked"
      title={trans.__('Set by the administrator; it cannot be changed here')}
    >
      <lockIcon.react tag="span" className="gol-Icon" />
      <span>{text ?? trans.__('locked')}</span>
    </span>
  );
}

export namespace Locked {
  export interface IProps {
    trans: TranslationBundle;
    /** By default "locked". */
    text?: string;
  }
}
