/** The columns of operators, of kernels and of work on the roofline. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatBytes } from '../../../core';
import { formatNumber } from '../../../core/format';
import { formatMicroseconds, formatShare } from '../../figures';
import type {
  IKernelTime,
  IOperatorTime,
  IOperatorWork,
  IProfileSummary
} from '../../service';

import type { IColumn } from './rows';

/** An operator with the roofline of all its shapes. */
export interface IOperatorRow extends IOperatorTime {
  /**
   * Share of the attainable speed, weighted by device time of its shapes; null
   * if it is not known.
   */
  readonly share: number | null;
  /** The limit of the shapes with most device time. */
  readonly bound: IOperatorWork['bound'];
}

/** A kernel with its device, if only the top kernels of devices are known. */
export interface IKernelRow extends IKernelTime {
  readonly where: string;
}

export function operatorRows(
  summary: Pick<IProfileSummary, 'operators' | 'roofline'>
): IOperatorRow[] {
  const works = new Map<string, IOperatorWork[]>();
  for (const work of summary.roofline?.operators ?? []) {
    works.set(work.name, [...(works.get(work.name) ?? []), work]);
  }
  return summary.operators.map(operator => {
    const known = (works.get(operator.name) ?? []).filter(({ bound }) => bound);
    const time = known.reduce((sum, { device_us }) => sum + device_us, 0);
    const most = known.reduce<IOperatorWork | null>(
      (best, each) => (best && best.device_us >= each.device_us ? best : each),
      null
    );
    return {
      ...operator,
      share:
        time > 0
          ? known.reduce((sum, each) => sum + each.share * each.device_us, 0) /
            time
          : null,
      bound: most?.bound ?? ''
    };
  });
}

/** All kernels, or the devices' top kernels if the summary has no more. */
export function kernelRows(
  summary: Pick<IProfileSummary, 'kernels' | 'devices'>
): IKernelRow[] {
  return summary.kernels.length > 0
    ? summary.kernels.map(kernel => ({ ...kernel, where: '' }))
    : summary.devices.flatMap(({ device, top_kernels }) =>
        top_kernels.map(kernel => ({ ...kernel, where: device }))
      );
}

/** A FLOP per microsecond is a millionth of a TFLOP/s. */
export function speedOf({
  flops,
  device_us
}: Pick<IOperatorTime, 'flops' | 'device_us'>): number | null {
  return flops > 0 && device_us > 0 ? flops / device_us / 1e6 : null;
}

export function operatorColumns(
  trans: TranslationBundle
): IColumn<IOperatorRow>[] {
  return [
    {
      id: 'name',
      title: trans.__('Operator'),
      width: 270,
      value: ({ name }) => name
    },
    time(
      'device_us',
      trans.__('Device'),
      trans.__(
        'Time of the GPU kernels and copies that the operator itself started'
      ),
      true
    ),
    time(
      'self_us',
      trans.__('CPU self'),
      trans.__('CPU time without the operators that it calls'),
      true
    ),
    time(
      'total_us',
      trans.__('CPU total'),
      trans.__('CPU time with the operators that it calls')
    ),
    count('count', trans.__('Calls')),
    {
      ...count<IOperatorRow>('kernels', trans.__('GPU kernels')),
      // Older summaries have no counts.
      value: ({ kernels, device_us }) =>
        kernels > 0 || device_us === 0 ? kernels : null
    },
    {
      id: 'flops',
      title: trans.__('FLOPs'),
      tip: trans.__('Computed from the shapes of the inputs'),
      width: 90,
      value: ({ flops }) => (flops > 0 ? flops : null),
      words: siNumber,
      summed: true
    },
    {
      id: 'tflops',
      title: trans.__('TFLOP/s'),
      width: 90,
      value: speedOf,
      words: formatNumber
    },
    share('share', trans),
    bound(trans)
  ];
}

export function kernelColumns(trans: TranslationBundle): IColumn<IKernelRow>[] {
  const kinds: Record<IKernelTime['kind'], string> = {
    compute: trans.__('Compute'),
    communication: trans.__('Communication'),
    copy: trans.__('Copy'),
    fill: trans.__('Fill')
  };
  return [
    {
      id: 'name',
      title: trans.__('GPU kernel'),
      width: 420,
      value: ({ name }) => name
    },
    time('total_us', trans.__('Total'), '', true),
    count('count', trans.__('Launches')),
    {
      id: 'mean_us',
      title: trans.__('Mean'),
      width: 90,
      value: ({ total_us, count: launches }) =>
        launches > 0 ? total_us / launches : null,
      words: formatMicroseconds
    },
    {
      ...time<IKernelRow>('min_us', trans.__('Shortest')),
      value: row => known(row, row.min_us),
      summed: false
    },
    {
      ...time<IKernelRow>('max_us', trans.__('Longest')),
      value: row => known(row, row.max_us),
      summed: false
    },
    {
      id: 'kind',
      title: trans.__('Kind'),
      width: 120,
      value: ({ kind }) => kinds[kind]
    },
    {
      id: 'operator',
      title: trans.__('Operator'),
      tip: trans.__(
        'The operator that launched most of this GPU kernel’s time'
      ),
      width: 220,
      value: ({ operator }) => operator || null
    }
  ];
}

/** Older summaries have no lengths. */
function known(row: IKernelRow, us: number): number | null {
  return row.max_us > 0 ? us : null;
}

export function workColumns(
  trans: TranslationBundle
): IColumn<IOperatorWork>[] {
  return [
    {
      id: 'name',
      title: trans.__('Operator'),
      width: 220,
      value: ({ name }) => name
    },
    time('device_us', trans.__('Device'), '', true),
    {
      id: 'shapes',
      title: trans.__('Shapes'),
      width: 240,
      value: ({ shapes }) => shapes
    },
    {
      id: 'dtype',
      title: trans.__('Type'),
      width: 80,
      value: ({ dtype }) => dtype
    },
    count('count', trans.__('Calls')),
    {
      id: 'tflops',
      title: trans.__('TFLOP/s'),
      width: 90,
      value: ({ tflops, flops }) => (flops > 0 ? tflops : null),
      words: formatNumber
    },
    {
      ...share<IOperatorWork>('share', trans),
      value: row => (row.bound ? row.share : null)
    },
    bound(trans),
    {
      id: 'gb_per_s',
      title: trans.__('GB/s'),
      width: 90,
      value: ({ gb_per_s, bytes }) => (bytes > 0 ? gb_per_s : null),
      words: formatNumber
    },
    {
      id: 'bytes',
      title: trans.__('Bytes'),
      width: 90,
      value: ({ bytes }) => (bytes > 0 ? bytes : null),
      words: formatBytes,
      summed: true
    },
    {
      id: 'intensity',
      title: trans.__('FLOPs per byte'),
      width: 115,
      value: ({ intensity }) => (intensity > 0 ? intensity : null),
      words: formatNumber
    }
  ];
}

/** A column of microseconds. */
export function time<R>(
  id: keyof R & string,
  title: string,
  tip = '',
  bar = false
): IColumn<R> {
  return {
    id,
    title,
    tip: tip || title,
    width: 110,
    value: row => row[id] as number,
    words: formatMicroseconds,
    summed: true,
    bar
  };
}

/** A column of whole numbers. */
export function count<R>(id: keyof R & string, title: string): IColumn<R> {
  return {
    id,
    title,
    width: 90,
    value: row => row[id] as number,
    words: value => value.toLocaleString(),
    summed: true
  };
}

function share<R>(id: keyof R & string, trans: TranslationBundle): IColumn<R> {
  return {
    id,
    title: trans.__('Share of attainable'),
    tip: trans.__(
      'Speed in percent of the roofline: the smaller of the peak, and bandwidth times FLOPs per byte'
    ),
    width: 120,
    value: row => row[id] as number | null,
    words: value => formatShare(value, 1)
  };
}

function bound<R extends { readonly bound: IOperatorWork['bound'] }>(
  trans: TranslationBundle
): IColumn<R> {
  const words = {
    compute: trans.__('compute'),
    memory: trans.__('memory'),
    '': null
  };
  return {
    id: 'bound',
    title: trans.__('Bound by'),
    width: 100,
    value: row => words[row.bound]
  };
}

const UNITS: readonly [size: number, unit: string][] = [
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k']
];

/** `1.3 T`. */
export function siNumber(value: number): string {
  const unit = UNITS.find(([size]) => value >= size);
  return unit
    ? `${Number((value / unit[0]).toPrecision(3))} ${unit[1]}`
    : formatNumber(value);
}
