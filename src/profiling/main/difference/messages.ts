import type { TranslationBundle } from '@jupyterlab/translation';

import { formatBytes, formatNumber } from '../../../core/format';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IChange, IDifference, IFigure } from '../../service';
import { siNumber } from '../tables/columns';

/** Names of the engine's figure codes; an unknown code is shown as it is. */
export function figureWord(code: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    span: trans.__('Span'),
    busy: trans.__('Busy'),
    idle: trans.__('Idle'),
    idle_share: trans.__('Idle share of the span'),
    compute: trans.__('Compute'),
    comm: trans.__('Communication'),
    exposed_comm: trans.__('Exposed communication'),
    memory: trans.__('Copies and fills'),
    kernels: trans.__('GPU kernels'),
    cpu_busy: trans.__('Operators on the CPU'),
    flops: trans.__('FLOPs'),
    mfu: trans.__('MFU'),
    peak_memory: trans.__('Peak memory')
  };
  return words[code] ?? code.replace(/_/g, ' ');
}

export function figureText(value: number, unit: IFigure['unit']): string {
  switch (unit) {
    case 'us':
      return formatMicroseconds(value);
    case 'share':
      return formatShare(value, 1);
    case 'bytes':
      return formatBytes(value);
    case 'flops':
      return siNumber(value);
    default:
      return formatNumber(value);
  }
}

/**
 * A figure of FLOPs, with the part of the compute time that has known FLOPs if
 * it is not all.
 */
export function knownText(
  value: number,
  unit: IFigure['unit'],
  covered: number | null,
  trans: TranslationBundle
): string {
  const text = figureText(value, unit);
  return covered === null || covered > 0.995
    ? text
    : trans.__('%1 (%2 of the compute time)', text, formatShare(covered, 1));
}

/** The difference of two figures; for shares, in percentage points. */
export function differenceText(
  size: number,
  unit: IFigure['unit'],
  trans: TranslationBundle
): string {
  return unit === 'share'
    ? trans.__('%1 points', Number((size * 100).toFixed(1)))
    : figureText(size, unit);
}

/** `−12.3 ms`; no change is a plain zero. */
export function signed(
  value: number,
  words: (size: number) => string = formatMicroseconds
): string {
  const size = words(Math.abs(value));
  return value === 0 ? size : `${value > 0 ? '+' : '−'}${size}`;
}

/** `−25 %`; a dash if there was nothing before. */
export function relative(before: number, after: number): string {
  if (before <= 0) {
    return '–';
  }
  const percent = (after / before - 1) * 100;
  const digits = Math.abs(percent) < 10 ? 1 : 0;
  return signed(
    Number(percent.toFixed(digits)),
    size => `${size.toLocaleString()} %`
  );
}

export function stateWord(
  state: IChange['state'],
  trans: TranslationBundle
): string {
  return {
    both: trans.__('in both'),
    added: trans.__('new'),
    removed: trans.__('removed')
  }[state];
}

/** Grid and block of a measured kernel, before and after if they differ. */
export function launchWords(
  { before_with, after_with }: Pick<IChange, 'before_with' | 'after_with'>,
  trans: TranslationBundle
): string {
  const launches = [before_with, after_with].flatMap(each =>
    each.length > 1
      ? [trans.__('%1 different', each.length)]
      : each.map(({ grid, block }) =>
          grid ? `${sides(grid)} × ${sides(block)}` : ''
        )
  );
  return [...new Set(launches)].filter(Boolean).join(' → ');
}

/** Without trailing ones, as in CUDA. */
function sides(of: string): string {
  return of.replace(/(, 1)+\]$/, ']');
}

/** The basis of the times; `measured`: Nsight Compute measured both. */
export function basis(
  difference: IDifference,
  measured: boolean,
  trans: TranslationBundle
): string {
  if (measured) {
    return trans.__(
      'Nsight Compute measured both profiles one GPU kernel at a time: they have no idle time, launch times or host times.'
    );
  }
  return difference.a_step
    ? trans.__(
        'All times are per step: %1 steps before, %2 after.',
        difference.before_steps,
        difference.after_steps
      )
    : trans.__(
        'All times are totals of the traces, because a trace has no step marks. Compare them only if both runs did the same work.'
      );
}
