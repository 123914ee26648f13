import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNumber } from '../../../core/format';
import type { ICurvesCard } from '../cards';
import type { IScale } from '../../../core/charts/axes';
import {
  axes,
  extent,
  frameIn,
  lowerBound,
  padded,
  projected,
  valueText
} from '../../../core/charts/axes';
import type { ILook, Mark } from '../../../core/charts/scene';
import type { ScaleKind } from '../scales';
import { makeScale } from '../scales';
import type { IHistory, ILine } from '../histories';
import type { IAxis } from '../service';

import type { IPicture } from './picture';

/** A run with its drawing style. */
export interface IDrawnRun {
  readonly id: string;
  readonly name: string;
  readonly color: string;
  readonly dash: readonly number[];
  /** 1, or less for a run in the background. */
  readonly strength: number;
}

export interface ICurvesInput {
  readonly card: ICurvesCard;
  readonly histories: ReadonlyMap<string, IHistory>;
  readonly runs: readonly IDrawnRun[];
  readonly x: IAxis;
  readonly zoom: readonly [number, number] | null;
  readonly smooth: boolean;
}

const PALE = 0.25;

/**
 * A line for each run; with smoothing, the original points are pale behind it.
 */
export function curvesPicture(
  input: ICurvesInput,
  width: number,
  height: number,
  look: ILook,
  trans: TranslationBundle
): IPicture {
  const { card, zoom } = input;
  const drawn = input.runs.flatMap(run => {
    const history = input.histories.get(run.id);
    return history && history.points > 0 ? [{ run, history }] : [];
  });
  const frame = frameIn(width, height);
  const { left, top } = frame;
  const bottom = top + frame.height;
  const right = left + frame.width;

  const ends = drawn.map(({ history }) => [
    history.first ?? NaN,
    history.last ?? NaN
  ]);
  const logX = (card.logX ?? false) && input.x !== 'time';
  // A log axis begins at the smallest positive value.
  const places = drawn.map(({ history }) => history.x);
  const spanX = zoom ?? (logX ? extent(places, true) : extent(ends));
  const kindX: ScaleKind = logX
    ? 'log'
    : input.x === 'time'
      ? 'time'
      : input.x === 'relative'
        ? 'duration'
        : 'linear';
  const x = makeScale(kindX, wide(spanX ?? [0, 1], logX), [left, right]);
  const logY = card.logY ?? false;
  const spanY = extent(
    drawn.map(({ history }) => seen(history, x.domain).y),
    logY
  );
  const y = makeScale(
    logY ? 'log' : 'linear',
    padded(spanY ?? (logY ? [1, 10] : [0, 1]), logY),
    [bottom, top]
  );

  const marks: Mark[] = axes(
    frame,
    x,
    y,
    { x: axisName(input.x, trans), y: card.metric },
    look
  );
  // Strong lines are drawn last, over the others.
  const order = [...drawn].sort((a, b) => a.run.strength - b.run.strength);
  for (const { run, history } of order) {
    const { color, dash, strength } = run;
    const line = (part: ILine, opacity: number, lineWidth: number): Mark => ({
      kind: 'line',
      ...projected(part, x, y),
      width: lineWidth,
      dash,
      color,
      opacity: opacity * strength,
      clipped: true
    });
    if (input.smooth) {
      marks.push(line(history, PALE, 1), line(history.smooth, 1, 1.5));
    } else {
      marks.push(line(history, 1, 1.5));
    }
    if (history.points === 1 || history.x.length <= 2) {
      marks.push({
        kind: 'points',
        ...projected(history, x, y),
        radius: 2.5,
        color,
        opacity: strength,
        clipped: true
      });
    }
    marks.push(
      ...infinities(history, x, frame, color),
      ...firstGap(history, x, y, frame, color)
    );
  }

  const lines = drawn.map(({ history }) =>
    input.smooth && history.smooth.x.length > 0 ? history.smooth : history
  );
  const targets = { x: [] as number[], y: [] as number[] };
  const owners: [number, number][] = [];
  lines.forEach((part, owner) => {
    const [begin, end] = range(part, x.domain);
    const shown = projected(part, x, y);
    for (let at = begin; at < end; at++) {
      if (Number.isFinite(shown.y[at])) {
        targets.x.push(shown.x[at]);
        targets.y.push(shown.y[at]);
        owners.push([owner, at]);
      }
    }
  });

  return {
    scene: { width, height, frame, marks },
    keys: [],
    summary: summary(card.metric, drawn, trans),
    notes: notes(
      input,
      drawn.map(({ history }) => history),
      logX,
      logY,
      trans
    ),
    targets: {
      ...targets,
      describe: at => {
        const [owner, point] = owners[at];
        const { run } = drawn[owner];
        return {
          runId: run.id,
          title: run.name,
          color: run.color,
          lines: [
            `${axisName(input.x, trans)} ${valueText(kindX, lines[owner].x[point])}`,
            `${card.metric} ${formatNumber(lines[owner].y[point])}`
          ]
        };
      }
    },
    brush: 'x',
    picked: (from, to) => {
      const low = x.from(Math.max(Math.min(from[0], to[0]), left));
      const high = x.from(Math.min(Math.max(from[0], to[0]), right));
      return low < high ? { zoom: [low, high] } : null;
    },
    table: () => ({
      head: [
        trans.__('Run'),
        trans.__('Points'),
        trans.__('Last'),
        trans.__('Smallest'),
        trans.__('Largest')
      ],
      rows: drawn.map(({ run, history }) => {
        const ends = extent([history.y]);
        return {
          runId: run.id,
          cells: [
            run.name,
            history.points.toLocaleString(),
            lastText(history),
            ends ? formatNumber(ends[0]) : '',
            ends ? formatNumber(ends[1]) : ''
          ]
        };
      })
    })
  };
}

export function axisName(x: IAxis, trans: TranslationBundle): string {
  switch (x) {
    case 'step':
      return trans.__('Step');
    case 'time':
      return trans.__('Time');
    case 'relative':
      return trans.__('Since the start');
  }
}

/** Widen a range of one value. */
function wide(
  [low, high]: readonly [number, number],
  log: boolean
): [number, number] {
  return low === high ? padded([low, high], log) : [low, high];
}

/** Return the points between two places, and one on each side. */
function range(
  { x }: ILine,
  [low, high]: readonly [number, number]
): [number, number] {
  const begin = lowerBound(x, low);
  let end = begin;
  while (end < x.length && x[end] <= high) {
    end++;
  }
  return [begin, end];
}

function seen(line: ILine, domain: readonly [number, number]): ILine {
  const [begin, end] = range(line, domain);
  return { x: line.x.subarray(begin, end), y: line.y.subarray(begin, end) };
}

/** Triangles at the edges for infinite values. */
function infinities(
  history: IHistory,
  x: IScale,
  frame: { top: number; height: number },
  color: string
): Mark[] {
  if (history.infinite === 0) {
    return [];
  }
  const places = (value: number) => [
    ...history.x.filter((_, at) => history.y[at] === value).map(x.at)
  ];
  return ([Infinity, -Infinity] as const).flatMap((value): Mark[] => {
    const at = places(value);
    const edge = value > 0 ? frame.top + 5 : frame.top + frame.height - 5;
    return at.length === 0
      ? []
      : [
          {
            kind: 'points',
            x: at,
            y: at.map(() => edge),
            radius: 4,
            shape: value > 0 ? 'up' : 'down',
            color,
            clipped: true
          }
        ];
  });
}

/** The word NaN where the values become NaN. */
function firstGap(
  history: IHistory,
  x: IScale,
  y: IScale,
  frame: { top: number },
  color: string
): Mark[] {
  const at = history.gaps > 0 ? history.y.findIndex(Number.isNaN) : -1;
  if (at === -1) {
    return [];
  }
  const before = y.at(history.y[at - 1]);
  return [
    {
      kind: 'text',
      x: x.at(history.x[at]),
      y: Number.isFinite(before) ? before : frame.top + 12,
      text: 'NaN',
      align: 'middle',
      bold: true,
      color,
      clipped: true
    }
  ];
}

function lastText(history: IHistory): string {
  return history.y.length > 0
    ? formatNumber(history.y[history.y.length - 1])
    : '';
}

function summary(
  metric: string,
  drawn: readonly { run: IDrawnRun; history: IHistory }[],
  trans: TranslationBundle
): string {
  if (drawn.length === 0) {
    return trans.__('No shown run has %1.', metric);
  }
  const all = extent(drawn.map(({ history }) => history.y));
  const text = trans._n('%2 of %1 run', '%2 of %1 runs', drawn.length, metric);
  return all
    ? trans.__(
        '%1, from %2 to %3',
        text,
        formatNumber(all[0]),
        formatNumber(all[1])
      )
    : text;
}

function notes(
  input: ICurvesInput,
  histories: readonly IHistory[],
  logX: boolean,
  logY: boolean,
  trans: TranslationBundle
): string[] {
  const sum = (of: (history: IHistory) => number) =>
    histories.reduce((all, history) => all + of(history), 0);
  const sentences: string[] = [];
  const gaps = sum(({ gaps }) => gaps);
  const infinite = sum(({ infinite }) => infinite);
  const backwards = sum(({ backwards }) => backwards);
  if (gaps > 0) {
    sentences.push(
      trans._n('%1 value is NaN: a gap.', '%1 values are NaN: gaps.', gaps)
    );
  }
  if (infinite > 0) {
    sentences.push(
      trans._n(
        '%1 value is infinite: a triangle at the edge.',
        '%1 values are infinite: triangles at the edge.',
        infinite
      )
    );
  }
  if (backwards > 0 && input.x !== 'step') {
    sentences.push(
      trans._n(
        'The clock went back at %1 step. Over time, points are drawn at their logged times.',
        'The clock went back at %1 steps. Over time, points are drawn at their logged times.',
        backwards
      )
    );
  }
  if (logY && histories.some(({ y }) => y.some(value => value <= 0))) {
    sentences.push(trans.__('The log axis leaves out values of 0 and below.'));
  }
  if (logX && histories.some(({ first }) => first !== null && first <= 0)) {
    sentences.push(
      trans.__('The log axis leaves out steps and times of 0 and below.')
    );
  }
  if (
    input.x === 'step' &&
    histories.some(({ points, first, last }) => points > 1 && first === last)
  ) {
    sentences.push(
      trans.__(
        'A run logged all values at one step. Choose Time or Since the start.'
      )
    );
  }
  return sentences;
}
