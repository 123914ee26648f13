import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { DataTable } from '../../../core';
import { formatMicroseconds, ranksText } from '../../figures';
import type { ICollectiveMoment, ITimelineSlice } from '../service';

import { lateWords } from './messages';

/**
 * A collective on all ranks: which rank was last, and how late each one was.
 */
export function Collective(props: {
  collective: ICollectiveMoment;
  /** The selected slice. */
  own: number;
  onGo: (slice: ITimelineSlice) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { collective, own, onGo, trans } = props;
  const { parts, trust_us, missing = [] } = collective;
  return (
    <div className="gol-Timeline-collective">
      <h4>{trans.__('The same collective on all ranks')}</h4>
      <p>{lateWords(collective, trans)}</p>
      <DataTable
        caption={trans.__('The same collective on all ranks')}
        className="gol-Timeline-sums"
        rows={parts}
        rowKey={({ rank }) => String(rank)}
        isCurrent={({ slice }) => slice.slice === own}
        columns={[
          {
            id: 'rank',
            title: trans.__('Rank'),
            cell: ({ rank, slice }) => (
              <button
                type="button"
                className="gol-LinkButton"
                onClick={() => onGo(slice)}
              >
                {trans.__('Rank %1', rank)}
              </button>
            )
          },
          {
            id: 'late',
            title: trans.__('Start after the first'),
            cell: ({ late_us }) => formatMicroseconds(late_us)
          },
          {
            id: 'duration',
            title: trans.__('Duration'),
            cell: ({ slice }) => formatMicroseconds(slice.dur_us)
          }
        ]}
      />
      <p className="gol-Note">
        {trans.__(
          'The clocks of these ranks are aligned to ±%1.',
          formatMicroseconds(trust_us)
        )}{' '}
        {missing.length > 0 &&
          trans._n(
            'Rank %2 has no collective that ends with this one.',
            'Ranks %2 have no collective that ends with this one.',
            missing.length,
            ranksText(missing, trans)
          )}
      </p>
    </div>
  );
}
