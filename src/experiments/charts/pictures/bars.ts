import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNumber } from '../../../core/format';
import { columnLabel } from '../../table/column-messages';
import type { IBarCard } from '../cards';
import type { ICondition } from '../conditions';
import { extent, numberScale, uprightGrid } from '../../../core/charts/axes';
import { runLooks, wordColor } from '../colors';
import type { ILook } from '../../../core/charts/scene';
import { fitted } from '../../../core/charts/scene';
import { meanOf } from '../means';
import type { IRows } from '../rows';
import { axisValues } from '../rows';

import type { IPicture } from './picture';
import type { IRowsInput } from './scatter';
import { cellText, limited } from './scatter';

const MOST_BARS = 40;
const BAR_PX = 18;

interface IBar {
  readonly label: string;
  readonly value: number;
  /** Half of the mean's 95 % interval; NaN for one run. */
  readonly error: number;
  readonly runs: readonly number[];
  readonly condition?: ICondition;
}

/** A value of each run, or the mean of each group with its 95 % interval. */
export function barPicture(
  input: IRowsInput<IBarCard>,
  width: number,
  least: number,
  look: ILook,
  trans: TranslationBundle
): IPicture {
  const { card, rows, names } = input;
  const label = (column: string) => columnLabel(column, trans);
  const values = axisValues(card.value, rows);
  const all = card.by
    ? groupBars(card.by, values.numbers, rows)
    : runBars(values.numbers, names);
  const bars = all.slice(0, MOST_BARS);
  const height = Math.max(least, bars.length * BAR_PX + 44);
  const longest = Math.max(...bars.map(bar => bar.label.length), 4);
  const left = Math.min(Math.max(longest * 6.5 + 12, 60), width * 0.4);
  const frame = {
    left,
    top: 4,
    width: width - left - 64,
    height: height - 44
  };
  const ends = extent([
    bars.flatMap(({ value, error }) => [
      value,
      value + (error || 0),
      value - (error || 0)
    ])
  ]) ?? [0, 1];
  // Bars begin at 0, because their lengths are compared.
  const x = numberScale(
    'linear',
    [Math.min(0, ends[0]), Math.max(0, ends[1]) || 1],
    [left, left + frame.width]
  );
  const looks = runLooks(rows.ids);
  const step = Math.min(frame.height / Math.max(bars.length, 1), 34);
  const bottom = frame.top + frame.height;
  const marks = uprightGrid(x, frame, look);
  marks.push({
    kind: 'text',
    x: left + frame.width / 2,
    y: bottom + 29,
    text: fitted(
      card.by ? trans.__('Mean of %1', label(card.value)) : label(card.value),
      frame.width
    ),
    align: 'middle',
    color: look.text
  });
  const colorOf = (bar: IBar, place: number) =>
    card.by ? wordColor(place) : looks.get(rows.ids[bar.runs[0]])!.color;
  const { isSelected } = input;
  bars.forEach((bar, place) => {
    const middle = frame.top + (place + 0.5) * step;
    const [from, to] = [x.at(0), x.at(bar.value)].sort((a, b) => a - b);
    const weak = isSelected && !bar.runs.some(run => isSelected(rows.ids[run]));
    marks.push(
      {
        kind: 'box',
        x: from,
        y: middle - step * 0.36,
        width: Math.max(to - from, 1),
        height: step * 0.72,
        color: colorOf(bar, place),
        opacity: weak ? 0.3 : 0.9
      },
      {
        kind: 'text',
        x: left - 6,
        y: middle,
        text: fitted(bar.label, left - 10),
        align: 'end',
        color: look.text
      },
      {
        kind: 'text',
        x: x.at(Math.max(bar.value, 0) + (bar.error || 0)) + 5,
        y: middle,
        text: formatNumber(bar.value),
        color: look.text
      }
    );
    if (bar.error > 0) {
      const [low, high] = [bar.value - bar.error, bar.value + bar.error];
      marks.push({
        kind: 'line',
        x: [x.at(low), x.at(high)],
        y: [middle, middle],
        width: 1.5,
        color: look.text
      });
    }
  });
  const describe = (bar: IBar, place: number) => ({
    runId: card.by ? null : rows.ids[bar.runs[0]],
    condition: bar.condition,
    title: bar.label,
    color: colorOf(bar, place),
    lines: [
      `${label(card.value)} ${formatNumber(bar.value)}${bar.error > 0 ? ` ± ${formatNumber(bar.error)}` : ''}`,
      ...(card.by ? [trans._n('%1 run', '%1 runs', bar.runs.length)] : [])
    ]
  });
  return {
    scene: { width, height, frame, marks },
    keys: [],
    summary: card.by
      ? trans._n(
          'Mean of %2 in %1 group by %3',
          'Mean of %2 in %1 groups by %3',
          bars.length,
          label(card.value),
          label(card.by)
        )
      : trans._n(
          '%2 of %1 run',
          '%2 of %1 runs',
          bars.length,
          label(card.value)
        ),
    notes: [
      ...limited(rows, trans),
      ...(all.length > bars.length
        ? [
            trans.__(
              'The first %1 of %2 bars.',
              bars.length,
              all.length.toLocaleString()
            )
          ]
        : []),
      ...(card.by
        ? [
            trans.__(
              'A line shows the 95 % confidence interval of the mean (Student’s t), for groups with several runs.'
            )
          ]
        : [])
    ],
    targets: {
      x: bars.map(bar => x.at(bar.value / 2)),
      y: bars.map((_, place) => frame.top + (place + 0.5) * step),
      describe: at => describe(bars[at], at)
    },
    brush: 'none',
    picked: () => null,
    table: () => ({
      head: [
        card.by ? label(card.by) : trans.__('Run'),
        label(card.value),
        trans.__('Runs')
      ],
      rows: bars.map((bar, place) => ({
        runId: describe(bar, place).runId,
        cells: [bar.label, formatNumber(bar.value), String(bar.runs.length)]
      }))
    })
  };
}

function runBars(values: Float64Array, names: readonly string[]): IBar[] {
  return names.flatMap((label, at) =>
    Number.isFinite(values[at])
      ? [{ label, value: values[at], error: NaN, runs: [at] }]
      : []
  );
}

/** Group by a column's value, the largest mean first. */
function groupBars(by: string, values: Float64Array, rows: IRows): IBar[] {
  const groups = axisValues(by, rows);
  const members = new Map<number, number[]>();
  groups.numbers.forEach((group, at) => {
    if (!Number.isNaN(group) && Number.isFinite(values[at])) {
      members.set(group, [...(members.get(group) ?? []), at]);
    }
  });
  return [...members]
    .map(([group, runs]): IBar => {
      const { mean, error } = meanOf(runs.map(at => values[at]));
      const condition: ICondition =
        groups.kind === 'words'
          ? { column: by, among: [groups.words[group]] }
          : { column: by, low: group, high: group };
      return {
        label: cellText(groups, runs[0]),
        value: mean,
        error,
        runs,
        condition
      };
    })
    .sort((a, b) => b.value - a.value);
}
