import type { TranslationBundle } from '@jupyterlab/translation';

import { columnLabel } from '../../table/column-messages';
import type { IParallelCard } from '../cards';
import type { ILook, Mark } from '../../../core/charts/scene';
import { LETTER_PX, fitted } from '../../../core/charts/scene';
import { axisValues } from '../rows';

import type { IPicture } from './picture';
import { MOST_TABLE_ROWS } from './picture';
import type { IRowsInput } from './scatter';
import {
  cellText,
  colored,
  isWide,
  limited,
  rangeOf,
  scaleOf
} from './scatter';

/**
 * Parameters as parallel axes, with a line for each run; the last axis sets the
 * colours.
 */
export function parallelPicture(
  input: IRowsInput<IParallelCard>,
  width: number,
  height: number,
  look: ILook,
  trans: TranslationBundle
): IPicture {
  const { card, rows, names, isSelected } = input;
  const label = (column: string) => columnLabel(column, trans);
  const top = 28;
  const bottom = height - 14;
  const left = 48;
  const frame = { left, top, width: width - left - 70, height: bottom - top };
  const axes = card.columns.map((column, number) => {
    const values = axisValues(column, rows);
    const at = left + (frame.width * number) / (card.columns.length - 1);
    return {
      values,
      at,
      scale: scaleOf(values, isWide(values.numbers), [bottom, top])
    };
  });
  const goal = card.columns[card.columns.length - 1];
  const { colors, colorText } = colored(goal, rows, trans);
  const lines = rows.ids.flatMap((id, at) => {
    const y = axes.map(({ values, scale }) => scale.at(values.numbers[at]));
    // A run without one of the values has a gap there.
    return y.filter(Number.isFinite).length > 1 ? [{ id, at, y }] : [];
  });
  const x = axes.map(axis => axis.at);
  const faint = Math.max(
    0.08,
    Math.min(0.7, 60 / Math.sqrt(lines.length * 20))
  );
  const room = frame.width / Math.max(axes.length - 1, 1);
  const marks: Mark[] = bundles(lines, colors, isSelected).map(
    ({ color, selected, lines: bundle }) => ({
      kind: 'line',
      // A NaN between two runs interrupts the line.
      x: bundle.flatMap(() => [...x, NaN]),
      y: bundle.flatMap(({ y }) => [...y, NaN]),
      width: selected ? 2 : 1,
      color,
      opacity: isSelected ? (selected ? 1 : faint / 4) : faint
    })
  );
  for (const { values, at, scale } of axes) {
    marks.push(
      {
        kind: 'line',
        x: [at, at],
        y: [top, bottom],
        width: 1,
        color: look.faint
      },
      {
        kind: 'text',
        x: at,
        y: 12,
        text: fitted(label(values.column), Math.min(room - 6, 2 * (left + 20))),
        align: 'middle',
        bold: true,
        color: look.text
      }
    );
    const ticks = scale.ticks(Math.max(2, Math.floor(frame.height / 32)));
    for (const { value, text } of ticks) {
      const shown = fitted(text, Math.min(room * 0.6, 64));
      const y = scale.at(value);
      marks.push(
        // A plate behind the words, because lines continue below.
        {
          kind: 'box',
          x: at + 3,
          y: y - 7,
          width: shown.length * LETTER_PX + 4,
          height: 14,
          color: look.background,
          opacity: 0.8
        },
        {
          kind: 'line',
          x: [at - 3, at + 3],
          y: [y, y],
          width: 1,
          color: look.faint
        },
        { kind: 'text', x: at + 5, y, text: shown, color: look.text }
      );
    }
  }
  const targets = lines.flatMap(line =>
    line.y.flatMap((y, axis) =>
      Number.isFinite(y) ? [{ line, x: x[axis], y }] : []
    )
  );
  return {
    scene: { width, height, frame, marks },
    keys: [],
    summary: trans._n(
      '%2 of %1 run',
      '%2 of %1 runs',
      lines.length,
      card.columns.map(label).join(', ')
    ),
    notes: limited(rows, trans),
    targets: {
      x: targets.map(target => target.x),
      y: targets.map(target => target.y),
      describe: number => {
        const { at, id } = targets[number].line;
        return {
          runId: id,
          title: names[at],
          color: colors[at],
          lines: axes.map(
            ({ values }) =>
              `${label(values.column)} ${values.column === goal ? colorText(at) : cellText(values, at)}`
          )
        };
      }
    },
    brush: 'y',
    picked: (from, to) => {
      const axis = axes.reduce((best, each) =>
        Math.abs(each.at - from[0]) < Math.abs(best.at - from[0]) ? each : best
      );
      const condition = rangeOf(axis.values, axis.scale, from[1], to[1]);
      return condition ? { conditions: [condition] } : null;
    },
    table: () => ({
      head: [trans.__('Run'), ...card.columns.map(label)],
      rows: lines.slice(0, MOST_TABLE_ROWS).map(({ id, at }) => ({
        runId: id,
        cells: [names[at], ...axes.map(({ values }) => cellText(values, at))]
      }))
    })
  };
}

interface IRunLine {
  readonly id: string;
  readonly at: number;
  readonly y: readonly number[];
}

/**
 * Lines of one colour that are drawn at once: one by one 10,000 take seconds.
 */
const BUNDLE = 25;

/** Bundle lines by colour, in their drawing order; selected ones on top. */
function bundles(
  order: readonly IRunLine[],
  colors: readonly string[],
  isSelected: ((id: string) => boolean) | null
): { color: string; selected: boolean; lines: IRunLine[] }[] {
  const all: { color: string; selected: boolean; lines: IRunLine[] }[] = [];
  const open = new Map<string, (typeof all)[number]>();
  for (const line of order) {
    const selected = isSelected?.(line.id) ?? false;
    const key = `${selected} ${colors[line.at]}`;
    let bundle = open.get(key);
    if (!bundle || bundle.lines.length >= BUNDLE) {
      bundle = { color: colors[line.at], selected, lines: [] };
      open.set(key, bundle);
      all.push(bundle);
    }
    bundle.lines.push(line);
  }
  return all.sort((a, b) => Number(a.selected) - Number(b.selected));
}
