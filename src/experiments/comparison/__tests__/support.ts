import { nullTranslator } from '@jupyterlab/translation';

import type { IMetricCell, IRunComparison } from '../service';

export const trans = nullTranslator.load('genops_lab');

export function makeCell(part: Partial<IMetricCell> = {}): IMetricCell {
  return {
    values: [0.5],
    estimate: { n: 1, mean: 0.5, margin: null },
    nan: 0,
    infinite: 0,
    missing: 0,
    difference: null,
    low: null,
    high: null,
    verdict: '',
    ...part
  };
}

/** Two runs that differ in a parameter, a metric, a cell and a file. */
export function makeComparison(
  part: Partial<IRunComparison> = {}
): IRunComparison {
  const run = (number: number) => ({
    run_id: `run${number}`,
    name: `fox-${number}`,
    experiment: 'digits',
    status: 'FINISHED',
    column: number,
    started_at: 1,
    ended_at: 2,
    repeat: '',
    has_source: true,
    problem: ''
  });
  return {
    runs: [run(0), run(1)],
    columns: [0, 1].map(number => ({
      name: `fox-${number}`,
      run_ids: [`run${number}`],
      mixed: false
    })),
    baseline: 0,
    repeats: false,
    params: [
      { name: 'lr', columns: [['0.1'], ['0.2']], differs: true },
      { name: 'width', columns: [['8'], ['8']], differs: false }
    ],
    tags: [],
    metrics: [
      {
        name: 'acc',
        differs: true,
        together: null,
        columns: [makeCell(), makeCell({ difference: 0.25 })]
      }
    ],
    facts: [],
    packages: [],
    datasets: [],
    changes: [
      { cells: [], patch: [], why: '' },
      {
        cells: [
          {
            title: '[1]',
            kind: 'equal',
            before: null,
            after: null,
            changes: [],
            left_out: false
          },
          {
            title: '[2]',
            kind: 'changed',
            before: 'lr = 0.1',
            after: 'lr = 0.2',
            changes: [[0, 1, 0, 1]],
            left_out: false
          }
        ],
        patch: [],
        why: ''
      }
    ],
    artifacts: [
      {
        path: 'page.html',
        differs: true,
        columns: [
          { run_id: 'run0', size_bytes: 40, sameness: 'same' },
          { run_id: 'run1', size_bytes: 41, sameness: 'differs' }
        ]
      }
    ],
    more: {},
    ...part
  };
}
