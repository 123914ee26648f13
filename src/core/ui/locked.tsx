import type { TranslationBundle } from '@jupyterlab/translation';
import { lockIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** The mark of a setting that the administrator locked. */
export function Locked(props: Locked.IProps): React.ReactElement {
  const { trans, text } = props;
  return (
    <span
      className="gol-Locked"
      title={trans.__('The administrator locked this setting')}
    >
      <lockIcon.react tag="span" className="gol-Icon" />
      <span>{text ?? trans.__('locked')}</span>
    </span>
  );
}

export namespace Locked {
  export interface IProps {
    trans: TranslationBundle;
    /** Default: "locked". */
    text?: string;
  }
}
