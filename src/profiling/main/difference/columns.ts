import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNumber } from '../../../core/palette';
import { formatMicroseconds } from '../../figures';
import type { IChange } from '../../service';
import { placeWords } from '../places';
import type { IColumn } from '../tables/rows';

import { launchWords, signed, stateWord } from './messages';

/** `launched`: of kernels that were measured, with their grids and blocks. */
export function changeColumns(
  title: string,
  trans: TranslationBundle,
  launched = false
): IColumn<IChange>[] {
  return [
    {
      id: 'name',
      title,
      width: 360,
      value: ({ name, place }) =>
        place ? `${placeWords(place, trans)} ${place.text.trim()}` : name
    },
    ...(launched
      ? [
          {
            id: 'launched',
            title: trans.__('Grid × block'),
            tip: trans.__('Before and after, where they are not the same'),
            width: 220,
            value: (change: IChange) => launchWords(change, trans) || null
          }
        ]
      : []),
    {
      id: 'change_us',
      title: trans.__('Change'),
      tip: trans.__('After less before: below zero is faster'),
      width: 110,
      value: ({ before_us, after_us }) => after_us - before_us,
      words: value => signed(value)
    },
    {
      id: 'before_us',
      title: trans.__('Before'),
      width: 100,
      value: each => (each.state === 'added' ? null : each.before_us),
      words: formatMicroseconds
    },
    {
      id: 'after_us',
      title: trans.__('After'),
      width: 100,
      value: each => (each.state === 'removed' ? null : each.after_us),
      words: formatMicroseconds
    },
    {
      id: 'before_count',
      title: trans.__('Calls before'),
      width: 100,
      value: each => (each.state === 'added' ? null : each.before_count),
      words: formatNumber
    },
    {
      id: 'after_count',
      title: trans.__('Calls after'),
      width: 100,
      value: each => (each.state === 'removed' ? null : each.after_count),
      words: formatNumber
    },
    {
      id: 'state',
      title: trans.__('State'),
      width: 90,
      value: ({ state }) => stateWord(state, trans)
    },
    {
      id: 'instead_of',
      title: trans.__('Instead of'),
      tip: trans.__(
        'The kernel that stood here before, by operator and shapes'
      ),
      width: 260,
      value: ({ instead_of }) => instead_of || null
    }
  ];
}
