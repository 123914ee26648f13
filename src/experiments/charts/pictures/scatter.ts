import type { TranslationBundle } from '@jupyterlab/translation';

import { columnLabel } from '../../table/column-messages';
import type { IScatterCard } from '../cards';
import type { ICondition } from '../conditions';
import { runLooks, scaleColor, wordColor } from '../colors';
import type { IScale } from '../../../core/charts/axes';
import {
  axes,
  extent,
  frameIn,
  padded,
  valueText
} from '../../../core/charts/axes';
import type { ILook, Mark } from '../../../core/charts/scene';
import type { ScaleKind } from '../scales';
import { makeScale } from '../scales';
import type { IAxisValues, IRows } from '../rows';
import { axisValues } from '../rows';

import type { IKey, IPicture } from './picture';
import { MOST_TABLE_ROWS } from './picture';

export interface IRowsInput<C> {
  readonly card: C;
  readonly rows: IRows;
  readonly names: readonly string[];
  readonly isSelected: ((id: string) => boolean) | null;
}

/** A point for each run. */
export function scatterPicture(
  input: IRowsInput<IScatterCard>,
  width: number,
  height: number,
  look: ILook,
  trans: TranslationBundle
): IPicture {
  const { card, rows, names } = input;
  const frame = frameIn(width, height);
  const { left, top } = frame;
  const xs = axisValues(card.x, rows);
  const ys = axisValues(card.y, rows);
  const x = scaleOf(xs, card.logX ?? isWide(xs.numbers), [
    left,
    left + frame.width
  ]);
  const y = scaleOf(ys, card.logY ?? isWide(ys.numbers), [
    top + frame.height,
    top
  ]);
  const label = (column: string) => columnLabel(column, trans);
  const { colors, keys, colorText } = colored(card.color, rows, trans);

  const places: { at: number; x: number; y: number }[] = [];
  let left_out = 0;
  rows.ids.forEach((_, at) => {
    const place = { at, x: x.at(xs.numbers[at]), y: y.at(ys.numbers[at]) };
    if (Number.isFinite(place.x) && Number.isFinite(place.y)) {
      places.push(place);
    } else {
      left_out += 1;
    }
  });
  const { isSelected } = input;
  const groups = isSelected
    ? [
        places.filter(({ at }) => !isSelected(rows.ids[at])),
        places.filter(({ at }) => isSelected(rows.ids[at]))
      ]
    : [places];
  const many = places.length > 2000;
  const marks: Mark[] = [
    ...axes(frame, x, y, { x: label(card.x), y: label(card.y) }, look),
    ...groups.map((group, number): Mark => ({
      kind: 'points',
      x: group.map(place => place.x),
      y: group.map(place => place.y),
      colors: group.map(({ at }) => colors[at]),
      radius: number === 1 ? 4.5 : many ? 2 : 3.5,
      opacity: number === 1 ? 1 : isSelected ? 0.25 : many ? 0.6 : 0.85,
      color: look.accent,
      clipped: true
    }))
  ];
  const text = (values: IAxisValues, at: number) => cellText(values, at);
  return {
    scene: { width, height, frame, marks },
    keys,
    summary: trans._n(
      '%2 against %3 of %1 run',
      '%2 against %3 of %1 runs',
      places.length,
      label(card.y),
      label(card.x)
    ),
    notes: [
      ...limited(rows, trans),
      ...(left_out > 0
        ? [
            trans._n(
              '%1 run is not shown: a value is missing, not finite, or not positive on a log axis.',
              '%1 runs are not shown: a value is missing, not finite, or not positive on a log axis.',
              left_out
            )
          ]
        : [])
    ],
    targets: {
      x: places.map(place => place.x),
      y: places.map(place => place.y),
      describe: number => {
        const { at } = places[number];
        return {
          runId: rows.ids[at],
          title: names[at],
          color: colors[at],
          lines: [
            `${label(card.x)} ${text(xs, at)}`,
            `${label(card.y)} ${text(ys, at)}`,
            ...(card.color ? [`${label(card.color)} ${colorText(at)}`] : [])
          ]
        };
      }
    },
    brush: 'xy',
    picked: (from, to) => {
      const conditions = [
        rangeOf(xs, x, from[0], to[0]),
        rangeOf(ys, y, from[1], to[1])
      ].filter((each): each is ICondition => each !== null);
      return conditions.length > 0 ? { conditions } : null;
    },
    table: () => ({
      head: [trans.__('Run'), label(card.x), label(card.y)],
      rows: places.slice(0, MOST_TABLE_ROWS).map(({ at }) => ({
        runId: rows.ids[at],
        cells: [names[at], text(xs, at), text(ys, at)]
      }))
    })
  };
}

/**
 * Return whether positive numbers span three decades or more, for a log axis.
 */
export function isWide(numbers: Float64Array): boolean {
  const ends = extent([numbers]);
  return ends !== null && ends[0] > 0 && ends[1] / ends[0] >= 1000;
}

/** Return a scale for a column's values. */
export function scaleOf(
  values: IAxisValues,
  log: boolean,
  range: readonly [number, number]
): IScale {
  const { kind, numbers, words } = values;
  if (kind === 'words') {
    return makeScale('words', [-0.5, words.length - 0.5], range, words);
  }
  const isLog = log && kind === 'number';
  const scale: ScaleKind = isLog ? 'log' : kind === 'number' ? 'linear' : kind;
  const ends = extent([numbers], isLog) ?? (isLog ? [1, 10] : [0, 1]);
  return makeScale(scale, padded(ends, isLog), range);
}

/**
 * Return the condition for a column between two pixels; null if that is
 * everything.
 */
export function rangeOf(
  values: IAxisValues,
  scale: IScale,
  from: number,
  to: number
): ICondition | null {
  const [a, b] = [scale.from(from), scale.from(to)];
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  const { column, kind, words } = values;
  if (kind === 'words') {
    const first = Math.max(Math.ceil(low), 0);
    const chosen = words.slice(first, Math.floor(high) + 1);
    return chosen.length === 0 || chosen.length === words.length
      ? null
      : { column, among: chosen };
  }
  const all = extent([values.numbers]);
  return all && low <= all[0] && high >= all[1] ? null : { column, low, high };
}

/** Return a column's value as text. */
export function cellText(values: IAxisValues, at: number): string {
  const number = values.numbers[at];
  if (Number.isNaN(number)) {
    return '–';
  }
  return values.kind === 'words'
    ? values.words[number]
    : valueText(values.kind === 'number' ? 'linear' : values.kind, number);
}

/** Return the colours of runs by a column; without a column, their own. */
export function colored(
  column: string | undefined,
  rows: IRows,
  trans: TranslationBundle
): { colors: string[]; keys: IKey[]; colorText: (at: number) => string } {
  if (!column) {
    const looks = runLooks(rows.ids);
    return {
      colors: rows.ids.map(id => looks.get(id)!.color),
      keys: [],
      colorText: () => ''
    };
  }
  const values = axisValues(column, rows);
  const none = 'oklch(65% 0 0)';
  const label = columnLabel(column, trans);
  const colorText = (at: number) => cellText(values, at);
  if (values.kind === 'words') {
    return {
      colors: Array.from(values.numbers, number =>
        Number.isNaN(number) ? none : wordColor(number)
      ),
      keys: values.words.slice(0, 8).map((word, place) => ({
        color: wordColor(place),
        label: place === 0 ? `${label}: ${word}` : word
      })),
      colorText
    };
  }
  const ends = extent([values.numbers]) ?? [0, 1];
  const share = (number: number) =>
    ends[0] === ends[1] ? 0.5 : (number - ends[0]) / (ends[1] - ends[0]);
  const kind = values.kind === 'number' ? 'linear' : values.kind;
  return {
    colors: Array.from(values.numbers, number =>
      Number.isNaN(number) ? none : scaleColor(share(number))
    ),
    keys: [0, 0.5, 1].map(at => ({
      color: scaleColor(at),
      label:
        (at === 0 ? `${label}: ` : '') +
        valueText(kind, ends[0] + at * (ends[1] - ends[0]))
    })),
    colorText
  };
}

/** Return a note if not all runs are shown. */
export function limited(rows: IRows, trans: TranslationBundle): string[] {
  return rows.matched > rows.ids.length
    ? [
        trans.__(
          'The first %1 of %2 runs, in the order of the table.',
          rows.ids.length.toLocaleString(),
          rows.matched.toLocaleString()
        )
      ]
    : [];
}
