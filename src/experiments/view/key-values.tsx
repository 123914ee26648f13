import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton } from '../../core';

const FIRST = 30;

/** Names and values, one a row; a long list is cut until a person asks for all. */
export function KeyValues(props: KeyValues.IProps): React.ReactElement {
  const { entries, trans } = props;
  const [all, setAll] = React.useState(false);
  const shown = all ? entries : entries.slice(0, FIRST);
  return (
    <>
      <table className="gol-KeyValues">
        <caption className="gol-VisuallyHidden">{props.caption}</caption>
        <tbody>
          {shown.map(([key, value]) => (
            <tr key={key}>
              <th scope="row" title={key}>
                {key}
              </th>
              <td
                title={value}
                className={props.bad?.has(key) ? 'gol-mod-bad' : undefined}
              >
                {value}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < entries.length && (
        <ActionButton
          label={trans.__('Show all %1', entries.length)}
          onClick={() => setAll(true)}
        />
      )}
    </>
  );
}

export namespace KeyValues {
  export interface IProps {
    /** What they are; read aloud. */
    caption: string;
    entries: readonly (readonly [key: string, value: string])[];
    /** Those that are written in red. */
    bad?: ReadonlyMap<string, unknown>;
    trans: TranslationBundle;
  }
}
