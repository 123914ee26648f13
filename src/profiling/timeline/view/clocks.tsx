import type { TranslationBundle } from '@jupyterlab/translation';
import { infoIcon, notTrustedIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ITimeline } from '../service';

import { clockWords } from './clock-messages';

/** How far the common clock of several ranks can be trusted; nothing for one rank. */
export function Clocks(props: {
  timeline: ITimeline;
  trans: TranslationBundle;
}): React.ReactElement {
  const { aligned, apart } = clockWords(props.timeline, props.trans);
  return (
    <div className="gol-Timeline-clocks" role="note">
      {aligned && (
        <p>
          <infoIcon.react tag="span" className="gol-Icon" />
          {aligned}
        </p>
      )}
      {apart.map(sentence => (
        <p key={sentence} className="gol-mod-apart">
          <notTrustedIcon.react tag="span" className="gol-Icon" />
          {sentence}
        </p>
      ))}
    </div>
  );
}
