import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** Which rank of a profile is looked at; nothing where there is no choice. */
export function RankPicker(props: {
  ranks: readonly number[];
  /** Null: all of them, where they can be looked at together. */
  rank: number | null;
  /** The name of all together; empty where they cannot be looked at so. */
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
