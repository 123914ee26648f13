import type { TranslationBundle } from '@jupyterlab/translation';

import { numberScale, uprightGrid } from '../../../core/charts/axes';
import type { ILook } from '../../../core/charts/scene';
import { fitted } from '../../../core/charts/scene';
import type { IImportance } from '../service';

import type { IPicture } from './picture';

const MOST = 20;
const BAR_PX = 20;
/** Above this p value the effect may be chance. */
const LIKELY_CHANCE = 0.05;

/** The share of the metric that each parameter explains alone. */
export function importancePicture(
  found: IImportance,
  width: number,
  least: number,
  look: ILook,
  trans: TranslationBundle
): IPicture {
  const shown = found.parameters.slice(0, MOST);
  const height = Math.max(least, shown.length * BAR_PX + 44);
  const longest = Math.max(...shown.map(each => each.parameter.length), 4);
  const left = Math.min(Math.max(longest * 6.5 + 12, 60), width * 0.4);
  const frame = {
    left,
    top: 4,
    width: width - left - 110,
    height: height - 44
  };
  const x = numberScale('linear', [0, 1], [left, left + frame.width]);
  const bottom = frame.top + frame.height;
  const step = Math.min(frame.height / Math.max(shown.length, 1), 30);
  const marks = uprightGrid(x, frame, look);
  marks.push({
    kind: 'text',
    x: width / 2,
    y: bottom + 29,
    text: fitted(
      trans.__(
        'Share of the rank variance of %1, each parameter alone',
        found.metric
      ),
      frame.width + 90
    ),
    align: 'middle',
    color: look.text
  });
  const middle = (place: number) => frame.top + (place + 0.5) * step;
  shown.forEach((each, place) => {
    const chance = each.p >= LIKELY_CHANCE;
    marks.push(
      {
        kind: 'box',
        x: left,
        y: middle(place) - step * 0.34,
        width: Math.max(x.at(each.importance) - left, 1),
        height: step * 0.68,
        color: chance ? look.faint : look.accent,
        opacity: chance ? 0.4 : 0.9
      },
      {
        kind: 'text',
        x: left - 6,
        y: middle(place),
        text: fitted(each.parameter, left - 10),
        align: 'end',
        color: look.text
      },
      {
        kind: 'text',
        x: x.at(each.importance) + 6,
        y: middle(place),
        text: `${each.importance.toFixed(2)}${sign(each.direction ?? null)}${chance ? ` ${trans.__('(chance?)')}` : ''}`,
        color: look.text
      }
    );
  });
  const lines = (place: number) => {
    const each = shown[place];
    return [
      trans.__('Explains %1 %', (each.importance * 100).toFixed(0)),
      ...(each.direction === null || each.direction === undefined
        ? []
        : [trans.__('Rank correlation %1', each.direction.toFixed(2))]),
      trans.__('p %1', each.p < 0.001 ? '< 0.001' : each.p.toFixed(3)),
      trans._n('%1 run', '%1 runs', each.runs)
    ];
  };
  const list = (names: readonly string[]) =>
    names.slice(0, 6).join(', ') + (names.length > 6 ? ', …' : '');
  return {
    scene: { width, height, frame, marks },
    keys: [],
    summary: shown.length
      ? trans._n(
          'Parameter importance for %2 in %1 run. Most important: %3',
          'Parameter importance for %2 in %1 runs. Most important: %3',
          found.runs,
          found.metric,
          shown[0].parameter
        )
      : trans._n(
          '%1 run shows no parameter importance for %2.',
          '%1 runs show no parameter importance for %2.',
          found.runs,
          found.metric
        ),
    notes: [
      trans.__(
        'Each parameter is judged alone. Combined effects are not seen, and parameters that changed together cannot be separated. ↑: the metric grows with the parameter, ↓: it falls.'
      ),
      ...(found.constant.length > 0
        ? [trans.__('Equal in all runs: %1.', list(found.constant))]
        : []),
      ...(found.unique.length > 0
        ? [trans.__('Different in each run: %1.', list(found.unique))]
        : [])
    ],
    targets: {
      x: shown.map(each => x.at(each.importance / 2)),
      y: shown.map((_, place) => middle(place)),
      describe: place => ({
        runId: null,
        title: shown[place].parameter,
        lines: lines(place),
        color: look.accent
      })
    },
    brush: 'none',
    picked: () => null,
    table: () => ({
      head: [
        trans.__('Parameter'),
        trans.__('Explains'),
        trans.__('Rank correlation'),
        'p',
        trans.__('Runs')
      ],
      rows: shown.map(each => ({
        runId: null,
        cells: [
          each.parameter,
          each.importance.toFixed(3),
          each.direction?.toFixed(2) ?? '–',
          each.p < 0.001 ? '< 0.001' : each.p.toFixed(3),
          String(each.runs)
        ]
      }))
    })
  };
}

function sign(direction: number | null): string {
  return direction === null || Math.abs(direction) < 0.1
    ? ''
    : direction > 0
      ? ' ↑'
      : ' ↓';
}
