import { StateDB } from '@jupyterlab/statedb';
import { act, cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import type { IAttention } from '../../panel/tokens';
import { Bench, settle, trans } from '../../tasks/__tests__/support';
import { attendServer } from '../attention';
import { DoctorModel, byUrgency } from '../model';
import type { ICheck, IStatus } from '../service';
import { Diagnosis } from '../view/diagnosis';
import { LockedNote } from '../view/locked-note';

const check = (id: string, state: ICheck['state'], hint = ''): ICheck => ({
  id,
  title: id,
  state,
  detail: `${id} is ${state}.`,
  hint
});

const status = (part: Partial<IStatus> = {}): IStatus => ({
  version: '0.1.0',
  mlflow_uri: '',
  mlflow_kind: 'embedded',
  hub: false,
  rooms: [],
  locked: [],
  notices: [],
  ...part
});

describe('the doctor', () => {
  let bench: Bench;
  let model: DoctorModel;
  let state: StateDB;

  const attended = () => {
    const attend = jest.fn<void, [string, readonly IAttention[]]>();
    attendServer({ core: bench.core, panel: { attend }, model });
    return attend;
  };
  const texts = (attend: ReturnType<typeof attended>) =>
    (attend.mock.lastCall?.[1] ?? []).map(({ text }) => text);

  const make = () =>
    new DoctorModel(bench.core, { page: 'JupyterLab 4', state });

  beforeEach(() => {
    bench = new Bench({
      'GET /status': status(),
      'GET /doctor': {
        checks: [check('versions', 'ok'), check('store', 'error', 'Move it.')],
        text: 'GenOps Lab 0.1.0\n[ok] versions: fine\n'
      }
    });
    state = new StateDB();
    model = make();
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  it('puts what is wrong first and adds what the page knows', async () => {
    bench.answers['GET /status'] = status({
      locked: [{ name: 'mlflow_uri', value: 'https://mlflow.example' }]
    });
    await model.status.refresh();
    await model.diagnosis.refresh();
    render(<Diagnosis model={model} trans={trans} />);
    const titles = screen
      .getAllByRole('heading', { level: 3 })
      .map(node => node.textContent);
    expect(titles).toEqual([
      'Errors (1)',
      'Information (1)',
      'OK (2)',
      'Settings locked by the administrator'
    ]);
    expect(screen.getByText('Move it.')).toBeTruthy();
    expect(screen.getByText('The websocket is connected.')).toBeTruthy();
    expect(screen.getByText('locked')).toBeTruthy();
    expect(model.diagnosis.value?.text).toBe(
      'GenOps Lab 0.1.0\n[ok] versions: fine\n[info] Page: JupyterLab 4\n[ok] Live updates: The websocket is connected.\n'
    );
  });

  it('groups nothing where there is nothing', () => {
    expect(byUrgency([check('a', 'ok'), check('b', 'warning')])).toMatchObject([
      { state: 'warning' },
      { state: 'ok' }
    ]);
  });

  it('shows notices until they are dismissed, also after a reload', async () => {
    bench.answers['GET /status'] = status({
      notices: ['On NFS.', 'Set aside.']
    });
    await model.status.refresh();
    const attend = attended();
    await act(() => settle());
    expect(texts(attend)).toEqual(['On NFS.', 'Set aside.']);
    attend.mock.lastCall![1][0].dismiss!();
    expect(texts(attend)).toEqual(['Set aside.']);

    const reloaded = make();
    await reloaded.status.refresh();
    await settle();
    expect(reloaded.notices).toEqual(['Set aside.']);
    reloaded.dismiss('Set aside.');
    expect(reloaded.notices).toEqual([]);
    reloaded.dispose();
  });

  it('says that the Jupyter server is away, until it answers', async () => {
    await model.status.refresh();
    const attend = attended();
    expect(texts(attend)).toEqual([]);
    bench.answers['GET /status'] = () => {
      throw new TypeError('Failed to fetch');
    };
    await model.status.refresh();
    const [item] = attend.mock.lastCall![1];
    expect(item.text).toContain('The Jupyter server does not answer.');
    bench.answers['GET /status'] = status();
    item.action!.execute();
    await settle();
    expect(texts(attend)).toEqual([]);
  });

  it('takes no space when no setting is locked', async () => {
    await model.status.refresh();
    const note = new LockedNote({ model, trans, onDetails: jest.fn() });
    expect(note.isHidden).toBe(true);
    bench.answers['GET /status'] = status({
      locked: [{ name: 'mlflow_uri', value: 'x' }]
    });
    await model.status.refresh();
    expect(note.isHidden).toBe(false);
    note.dispose();
  });
});
