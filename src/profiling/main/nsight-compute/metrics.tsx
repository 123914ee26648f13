import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure, Resource, ResourceView } from '../../../core';
import type {
  IKernelMetric,
  IKernelMetrics,
  IMeasuredKernel
} from '../../service';
import { OneTable } from '../tables/one-table';
import type { IColumn } from '../tables/rows';

import { keyOf } from './sums';
import { metricText } from './messages';

/** All metrics of a kernel's longest launch, loaded on first use. */
export function AllMetrics(props: AllMetrics.IProps): React.ReactElement {
  const { kernel, trans } = props;
  // Both stay when another kernel is selected, so that a metric can be
  // compared.
  const [open, setOpen] = React.useState(false);
  const filter = React.useRef('');
  return (
    <Disclosure
      title={
        kernel.count > 1
          ? trans.__('All metrics of the longest launch')
          : trans.__('All metrics')
      }
      open={open}
      onToggle={setOpen}
    >
      <Fetched key={keyOf(kernel)} {...props} filter={filter} />
    </Disclosure>
  );
}

export namespace AllMetrics {
  export interface IProps {
    kernel: IMeasuredKernel;
    /** Load the metrics. Rejects with an ApiError. */
    ask: (
      kernel: IMeasuredKernel,
      signal: AbortSignal
    ) => Promise<IKernelMetrics>;
    /** Whether they are visible; nothing is loaded before. */
    seen: boolean;
    trans: TranslationBundle;
  }
}

function Fetched(
  props: AllMetrics.IProps & { filter: React.MutableRefObject<string> }
): React.ReactElement {
  const { kernel, ask, seen, filter, trans } = props;
  const resource = React.useMemo(
    () => new Resource({ fetch: signal => ask(kernel, signal), trans }),
    []
  );
  React.useEffect(() => {
    resource.visible = seen;
  }, [resource, seen]);
  React.useEffect(() => () => resource.dispose(), [resource]);
  const columns = React.useMemo(() => metricColumns(trans), [trans]);
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('The metrics of this launch cannot be read.')}
      keepMounted
      empty={null}
    >
      {({ number, metrics }) => (
        <div className="gol-Measured-metrics">
          <OneTable
            name={trans.__('Metrics of launch %1', number)}
            rows={metrics}
            columns={columns}
            first="name"
            ascending
            filter={filter.current}
            onFilter={text => {
              filter.current = text;
            }}
            groupOf={familyOf}
            groupWords={trans.__('By hardware unit')}
            none={trans.__('The report has no metrics of this launch.')}
            trans={trans}
          />
        </div>
      )}
    </ResourceView>
  );
}

/** The hardware unit of a metric: `l1tex` of `l1tex__throughput.avg`. */
export function familyOf({ name }: Pick<IKernelMetric, 'name'>): string {
  const [family, rest] = name.split('__');
  return rest === undefined ? '' : (family.split('.').pop() ?? family);
}

export function metricColumns(
  trans: TranslationBundle
): IColumn<IKernelMetric>[] {
  return [
    {
      id: 'name',
      title: trans.__('Metric'),
      width: 400,
      value: ({ name }) => name
    },
    {
      id: 'value',
      title: trans.__('Value'),
      width: 150,
      value: ({ value }) => value,
      words: (value, { unit }) => metricText(value, unit)
    },
    {
      id: 'unit',
      title: trans.__('Base unit'),
      tip: trans.__('Unit of the value in the CSV file'),
      width: 120,
      value: ({ unit }) => unit || null
    },
    {
      id: 'instances',
      title: trans.__('Instances'),
      tip: trans.__(
        'Number of per-instance values, such as one per machine instruction; ncu-ui shows them'
      ),
      width: 100,
      value: ({ instances }) => instances || null,
      words: value => value.toLocaleString()
    }
  ];
}
