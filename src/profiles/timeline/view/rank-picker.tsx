import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** Which rank of a profile is looked at; nothing where there is no choice. */
export function RankPicker(props: {
  ranks: readonly number[];
  rank: number | null;
  onRank: (rank: number) => void;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { ranks, rank, onRank, trans } = props;
  if (ranks.length < 2) {
    return null;
  }
  return (
    <label className="gol-RankPicker">
      {trans.__('Rank')}
      <select
        value={rank ?? ranks[0]}
        onChange={({ target }) => onRank(Number(target.value))}
      >
        {ranks.map(each => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}
