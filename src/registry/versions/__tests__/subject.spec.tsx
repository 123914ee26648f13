import { nullTranslator } from '@jupyterlab/translation';
import { render, screen } from '@testing-library/react';
import * as React from 'react';

import type { IRunColumnInfo } from '../../../experiments/table/service';
import { chooseColumns, firstColumns, versionSubject } from '../subject';
import { VersionTableService, versionOf } from '../service';

const trans = nullTranslator.load('genops_lab');

function known(columns: Record<string, number>): IRunColumnInfo[] {
  return Object.entries(columns).map(([column, runs]) => ({
    column,
    kind: column.startsWith('metrics.') ? 'number' : 'text',
    runs
  }));
}

describe('the first columns', () => {
  it('show where versions are used, evaluations before other metrics, and the age', () => {
    const shown = firstColumns(
      known({
        aliases: 2,
        gates: 0,
        deployed: 1,
        run: 3,
        'metrics.loss': 9,
        'metrics.system/cpu': 9,
        'metrics.holdout@3f2a/f1': 1,
        'params.depth': 9
      })
    );
    expect(shown.map(({ name }) => name)).toEqual([
      'model',
      'version',
      'aliases',
      'deployed',
      'format',
      'metrics.holdout@3f2a/f1',
      'metrics.loss',
      'created',
      'run'
    ]);
    expect(shown.filter(({ pinned }) => pinned)).toHaveLength(2);
  });

  it('stay changeable until all versions and runs are read, and without an answer', async () => {
    const ask = (names: string[]) => ({
      experiments: [],
      query: '',
      sort: [],
      lifecycle: 'all' as const,
      columns: names
    });
    const columns = { columns: [], state: { complete: false } } as never;
    const window = jest.fn().mockResolvedValueOnce({ run_ids: [] });
    expect((await chooseColumns(columns, ask, { window })).certain).toBe(false);
    window.mockRejectedValueOnce(new Error('away'));
    expect((await chooseColumns(columns, ask, { window })).sample).toBeNull();
  });
});

describe('a cell', () => {
  const cell = versionSubject(trans).cell!;
  const shown = (column: string, value: string | number | null) =>
    render(<>{cell(null as never, column, value)}</>).container.textContent;

  it('names verdicts and states, and lists aliases one by one', () => {
    expect(shown('gates', 'not_enough_data')).toBe('Not enough data');
    expect(shown('gates', 'a later verdict')).toBe('a later verdict');
    expect(shown('status', 'PENDING_REGISTRATION')).toBe('Pending');
    expect(shown('status', 'FAILED_REGISTRATION')).toBe('Failed');
    render(<>{cell(null as never, 'aliases', 'champion, shadow')}</>);
    expect(screen.getByText('champion')).toBeTruthy();
    expect(screen.getByText('shadow')).toBeTruthy();
  });

  it('writes versions as whole numbers, and metrics with four digits', () => {
    expect(shown('version', 12345)).toBe('12345');
    expect(shown('metrics.accuracy', 0.91)).toBe('0.9100');
    expect(cell(null as never, 'metrics.accuracy', null)).toBeUndefined();
  });
});

describe('the service', () => {
  it('reads the id of a row', () => {
    expect(versionOf('digits/12')).toEqual({ model: 'digits', version: '12' });
  });

  it('asks for one version, with quotes in its name', async () => {
    const POST = jest.fn();
    const api = {
      http: { POST },
      data: () =>
        Promise.resolve({
          run_ids: ["it's/1"],
          columns: [{ column: 'gates', values: ['pass'] }]
        })
    };
    const service = new VersionTableService(api as never);
    const row = await service.one({ model: "it's", version: '1' }, ['gates']);
    expect(row?.get('gates')).toBe('pass');
    expect(POST.mock.calls[0][1].body.query).toBe(
      "model = 'it''s' AND version = 1"
    );
  });
});
