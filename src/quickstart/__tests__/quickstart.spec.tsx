import { Notification } from '@jupyterlab/apputils';
import { NotebookActions } from '@jupyterlab/notebook';
import type { Signal } from '@lumino/signaling';
import { act, fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import { Bench, settle, trans } from '../../tasks/__tests__/support';
import { missingMagic, watchMissingMagics } from '../missing-magic';
import { StartModel } from '../model';
import { StartHere } from '../start-here';

describe('how to start', () => {
  it('is said until there is a run, and never again', async () => {
    const bench = new Bench({ 'GET /runs': { items: [], next: '' } });
    const kept = new Map<string, unknown>();
    const state = {
      fetch: async (key: string) => kept.get(key) as never,
      save: async (key: string, value: unknown) => void kept.set(key, value)
    };
    const model = new StartModel(bench.core, state);
    const onQuickstart = jest.fn();
    const onLoad = jest.fn();
    render(<StartHere {...{ model, trans, onQuickstart, onLoad }} />);
    model.seen = true;
    await act(() => settle());
    expect(screen.getByText('%load_ext genops_lab')).toBeTruthy();
    fireEvent.click(screen.getByText('Open the quickstart'));
    fireEvent.click(screen.getByText('Insert this line'));
    expect(onQuickstart).toHaveBeenCalledTimes(1);
    expect(onLoad).toHaveBeenCalledTimes(1);

    bench.answers['GET /runs'] = { items: [{}], next: '' };
    bench.change('run', 'r1');
    await act(() => settle(700));
    expect(screen.queryByText('Start here')).toBeNull();

    const again = new StartModel(bench.core, state);
    await again.ready;
    expect(again.begins).toBe(false);
    bench.dispose();
  });
});

describe('a magic that is not loaded', () => {
  const said = (text: string | string[]) =>
    missingMagic([{ output_type: 'stream', name: 'stderr', text }]);

  it('is found in what IPython says, when it is one of ours', () => {
    expect(said('UsageError: Cell magic `%%track` not found.\n')).toBe(
      '%%track'
    );
    expect(
      said(['UsageError: Line magic function `%genops` not found.\n'])
    ).toBe('%genops');
    expect(said('UsageError: Cell magic `%%timeit2` not found.')).toBe(
      undefined
    );
    expect(missingMagic([{ output_type: 'display_data', data: {} }])).toBe(
      undefined
    );
  });

  it('is named until the extension is loaded', () => {
    watchMissingMagics(trans);
    const executed = (source: string, success: boolean, text = '') => {
      const outputs = [{ output_type: 'stream', name: 'stderr', text }];
      const model = {
        sharedModel: { source },
        outputs: { toJSON: () => outputs }
      };
      (NotebookActions.executed as Signal<unknown, unknown>).emit({
        ...{ notebook: {}, cell: { model }, success }
      });
    };
    const shown = () => Notification.manager.notifications.length;
    executed(
      '%%track\n1',
      false,
      'UsageError: Cell magic `%%track` not found.'
    );
    expect(shown()).toBe(1);
    executed('%load_ext genops_lab', false, 'ModuleNotFoundError');
    expect(shown()).toBe(1);
    executed('%load_ext genops_lab', true);
    expect(shown()).toBe(0);
  });
});
