import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatMicroseconds, ranksText } from '../../figures';
import type { ICollectiveMoment, ITimelineSlice } from '../service';

import { lateWords } from './messages';

/** A collective on all ranks: who came last, and how late each was. */
export function Collective(props: {
  collective: ICollectiveMoment;
  /** The slice that is selected. */
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
      <table className="gol-Timeline-sums">
        <thead>
          <tr>
            <th scope="col">{trans.__('Rank')}</th>
            <th scope="col">{trans.__('Began after the first')}</th>
            <th scope="col">{trans.__('Duration')}</th>
          </tr>
        </thead>
        <tbody>
          {parts.map(({ rank, slice, late_us }) => (
            <tr key={rank} aria-current={slice.slice === own || undefined}>
              <td>
                <button
                  type="button"
                  className="gol-LinkButton"
                  onClick={() => onGo(slice)}
                >
                  {trans.__('Rank %1', rank)}
                </button>
              </td>
              <td>{formatMicroseconds(late_us)}</td>
              <td>{formatMicroseconds(slice.dur_us)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="gol-Note">
        {trans.__(
          'The clocks of these ranks are known to ±%1.',
          formatMicroseconds(trust_us)
        )}{' '}
        {missing.length > 0 &&
          trans._n(
            'Rank %2 has none that ends with it.',
            'Ranks %2 have none that ends with it.',
            missing.length,
            ranksText(missing, trans)
          )}
      </p>
    </div>
  );
}
