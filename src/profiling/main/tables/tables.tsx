import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatMicroseconds } from '../../figures';
import type { IProfileSummary, IStepTime } from '../../service';
import { peakWords } from '../messages';

import {
  kernelColumns,
  kernelRows,
  operatorColumns,
  operatorRows,
  workColumns,
  count,
  time
} from './columns';
import { OneTable } from './one-table';
import type { IColumn } from './rows';

type Which = 'operators' | 'kernels' | 'shapes' | 'steps';

/** Operators, kernels, operators by shapes on the roofline, and steps. */
export function Tables(props: Tables.IProps): React.ReactElement {
  const { summary, trans } = props;
  // A report of Nsight Compute has kernels and no operators.
  const [which, setWhich] = React.useState<Which>(() =>
    operatorRows(summary).length === 0 && kernelRows(summary).length > 0
      ? 'kernels'
      : 'operators'
  );
  const choices: [Which, string][] = [
    ['operators', trans.__('Operators')],
    ['kernels', trans.__('GPU kernels')],
    ['shapes', trans.__('By shapes')],
    ['steps', trans.__('Steps')]
  ];
  const chooser = (
    <div
      className="gol-Profile-choice"
      role="group"
      aria-label={trans.__('Table')}
    >
      {choices.map(([id, label]) => (
        <button
          key={id}
          type="button"
          aria-pressed={id === which}
          onClick={() => setWhich(id)}
        >
          {label}
        </button>
      ))}
    </div>
  );
  const shared = { chooser, trans, onInsert: props.onInsert };
  switch (which) {
    case 'operators':
      return <Operators key={which} summary={summary} {...shared} />;
    case 'kernels':
      return <Kernels key={which} summary={summary} {...shared} />;
    case 'shapes':
      return <Shapes key={which} summary={summary} {...shared} />;
    case 'steps':
      return <Steps key={which} summary={summary} {...shared} />;
  }
}

export namespace Tables {
  export interface IProps {
    summary: IProfileSummary;
    /**
     * Insert a notebook cell that makes a table of the summary's field; null if
     * that is not possible.
     */
    onInsert: ((field: string) => void) | null;
    trans: TranslationBundle;
  }
}

type IShared = Pick<Tables.IProps, 'summary' | 'trans' | 'onInsert'> & {
  chooser: React.ReactNode;
};

function Operators({ summary, ...shared }: IShared): React.ReactElement {
  const { trans } = shared;
  const rows = React.useMemo(() => operatorRows(summary), [summary]);
  const columns = React.useMemo(() => operatorColumns(trans), [trans]);
  const onDevice = rows.some(({ device_us }) => device_us > 0);
  return (
    <OneTable
      {...shared}
      name={trans.__('Operators')}
      field="operators"
      rows={rows}
      columns={columns}
      first={onDevice ? 'device_us' : 'self_us'}
      none={trans.__('The trace has no operators.')}
    />
  );
}

function Kernels({ summary, ...shared }: IShared): React.ReactElement {
  const { trans } = shared;
  const rows = React.useMemo(() => kernelRows(summary), [summary]);
  const columns = React.useMemo(() => kernelColumns(trans), [trans]);
  return (
    <OneTable
      {...shared}
      name={trans.__('GPU kernels')}
      field="kernels"
      rows={rows}
      columns={columns}
      first="total_us"
      groupOf={
        rows.some(({ operator }) => operator)
          ? ({ operator }) => operator
          : undefined
      }
      groupWords={trans.__('By operator')}
      note={
        summary.kernels.length === 0 && rows.length > 0
          ? trans.__(
              'Only the GPU kernels with most time on each device are listed.'
            )
          : ''
      }
      none={trans.__('The trace has no GPU kernels.')}
    />
  );
}

function Shapes({ summary, ...shared }: IShared): React.ReactElement {
  const { trans } = shared;
  const { roofline } = summary;
  const columns = React.useMemo(() => workColumns(trans), [trans]);
  return (
    <OneTable
      {...shared}
      name={trans.__('Operators by shapes')}
      field="roofline.operators"
      rows={roofline?.operators ?? []}
      columns={columns}
      first="device_us"
      groupOf={({ name }) => name}
      groupWords={trans.__('By operator')}
      note={[roofline ? peakWords(roofline, trans) : '', roofline?.missing]
        .filter(Boolean)
        .join(' ')}
      none={
        roofline?.missing ||
        trans.__(
          'The trace has no shapes, so FLOPs and bytes are not known. Profile with %1.',
          '--shapes'
        )
      }
    />
  );
}

function Steps({ summary, ...shared }: IShared): React.ReactElement {
  const { trans } = shared;
  const columns = React.useMemo(
    () => stepColumns(summary, trans),
    [summary, trans]
  );
  return (
    <OneTable
      {...shared}
      name={trans.__('Steps')}
      field="steps"
      rows={summary.steps}
      columns={columns}
      first="span_us"
      none={trans.__('The trace marks no steps.')}
    />
  );
}

/** The columns of steps; ranks only if there are several. */
function stepColumns(
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
      trans.__('Device time of the work that the step launched')
    ),
    time('compute_us', trans.__('Compute')),
    time('comm_us', trans.__('Communication')),
    time(
      'exposed_comm_us',
      trans.__('Exposed communication'),
      trans.__('Communication while no GPU kernel computes')
    ),
    time('memory_us', trans.__('Copies')),
    time('idle_us', trans.__('Idle')),
    count('kernels', trans.__('GPU kernels')),
    {
      id: 'warmup',
      title: trans.__('Warm-up'),
      width: 90,
      value: ({ warmup }) => (warmup ? trans.__('yes') : null)
    }
  ];
}
