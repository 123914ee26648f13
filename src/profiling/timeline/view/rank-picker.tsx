import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** The choice of a rank; empty if there is no choice. */
export function RankPicker(props: {
  ranks: readonly number[];
  /** Null: all ranks, if they can be shown together. */
  rank: number | null;
  /** The name for all ranks; empty if they cannot be shown together. */
  all?: string;
  onRank: (rank: number | null) => void;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { ranks, rank, all = '', onRank, trans } = props;
  if (ranks.length < 2) {
    return null;
  }
  return (
    <label className="gol-RankPicker">
      {trans.__('Rank')}
      <select
        value={rank ?? (all ? '' : ranks[0])}
        onChange={({ target: { value } }) =>
          onRank(value === '' ? null : Number(value))
        }
      >
        {all && <option value="">{all}</option>}
        {ranks.map(each => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}
