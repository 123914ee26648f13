import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMicroseconds } from '../../figures';
import type { IProfileSummary, IStepTime } from '../../service';

import { count, time } from './columns';
import type { IColumn } from './rows';

/** The columns of steps; ranks only where there are several. */
export function stepColumns(
  { ranks }: Pick<IProfileSummary, 'ranks'>,
  trans: TranslationBundle
): IColumn<IStepTime>[] {
  const rank: IColumn<IStepTime> = {
    id: 'rank',
    title: trans.__('Rank'),
    width: 70,
    value: each => each.rank
  };
  return [
    {
      id: 'name',
      title: trans.__('Step'),
      width: 160,
      value: ({ name }) => name
    },
    ...(ranks.length > 1 ? [rank] : []),
    time('span_us', trans.__('Length'), '', true),
    {
      id: 'start_us',
      title: trans.__('Begins at'),
      width: 100,
      value: ({ start_us }) => start_us,
      words: formatMicroseconds
    },
    time(
      'busy_us',
      trans.__('Busy'),
      trans.__('What the step launched, wherever on the clock it ran')
    ),
    time('compute_us', trans.__('Compute')),
    time('comm_us', trans.__('Communication')),
    time(
      'exposed_comm_us',
      trans.__('Of it exposed'),
      trans.__('Communication while nothing computes')
    ),
    time('memory_us', trans.__('Copies')),
    time('idle_us', trans.__('Idle')),
    count('kernels', trans.__('Kernels')),
    {
      id: 'warmup',
      title: trans.__('Warm-up'),
      width: 90,
      value: ({ warmup }) => (warmup ? trans.__('yes') : null)
    }
  ];
}
