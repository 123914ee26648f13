import { act, render } from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { FolderPull } from '../folder';
import { QuestionsModel } from '../questions';
import type { IFolderResult, IFolderState } from '../service';
import { TargetsService } from '../service';
import { PullView } from '../view/pull-dialog';

function file(path: string, part = {}): IFolderState['to_bring'][0] {
  return {
    path,
    change: 'new',
    size: 2048,
    modified_at: 1,
    why: '',
    kept: '',
    ...part
  };
}

function folder(part: Partial<IFolderState> = {}): IFolderState {
  return {
    target: 'gpu-box',
    here: '/home/ada/proj',
    there: '~/genops/proj-1',
    synced_at: 1,
    to_send: [],
    to_send_count: 0,
    to_send_bytes: 0,
    to_bring: [file('out/model.pt')],
    to_bring_count: 1,
    to_bring_bytes: 2048,
    conflicts: [],
    left_out: [],
    message: '',
    ...part
  };
}

const RESULT: IFolderResult = {
  target: 'gpu-box',
  here: '/home/ada/proj',
  there: '~/genops/proj-1',
  direction: 'brought',
  done: [file('out/model.pt', { kept: 'out/model.mine-1.pt' })],
  done_count: 1,
  done_bytes: 2048,
  conflicts: [],
  failed: [],
  message: '1 file brought from gpu-box.'
};

describe('bringing files back', () => {
  let bench: Bench;
  let pull: FolderPull;
  let questions: QuestionsModel;
  let closed: jest.Mock;

  async function show(answers: Record<string, unknown>): Promise<HTMLElement> {
    bench = new Bench({ 'GET /questions': [], ...answers });
    const service = new TargetsService(bench.core.api);
    questions = new QuestionsModel(bench.core, service);
    pull = new FolderPull(service, trans, {
      notebook: 'proj/a.ipynb',
      target: 'gpu-box'
    });
    closed = jest.fn();
    const view = () => (
      <PullView
        pull={pull}
        questions={questions}
        trans={trans}
        onClose={closed}
      />
    );
    const { container, rerender } = render(view());
    pull.changed.connect(() => act(() => rerender(view())));
    await act(() => settle());
    return container;
  }

  afterEach(() => {
    pull.dispose();
    questions.dispose();
    bench.dispose();
  });

  const button = (at: HTMLElement, label: string) =>
    Array.from(at.querySelectorAll('button')).find(
      each => each.textContent === label
    )!;

  it('shows what would come before anything does', async () => {
    const at = await show({ 'POST /folders/look': folder() });
    expect(bench.bodies[0]).toMatchObject({
      notebook: 'proj/a.ipynb',
      target: 'gpu-box'
    });
    expect(at.textContent).toContain('1 new or changed file (2.0 KiB)');
    expect(at.textContent).toContain('out/model.pt');
    expect(bench.count('POST /folders/pull')).toBe(0);
  });

  it('waits for the end of a long passage, then says what came', async () => {
    const at = await show({
      'POST /folders/look': folder(),
      'POST /folders/pull': { id: 'j', state: 'running', task_id: 't' },
      'GET /folders/jobs/j': {
        id: 'j',
        state: 'done',
        task_id: 't',
        result: RESULT
      }
    });
    act(() => button(at, 'Pull').click());
    await act(() => settle(700));
    expect(at.textContent).toContain('1 file brought from gpu-box.');
    expect(at.textContent).toContain('out/model.mine-1.pt');
    act(() => button(at, 'Close').click());
    expect(closed).toHaveBeenCalled();
  });

  it('takes nothing that was changed on both sides without a word', async () => {
    const conflicts = [file('b.csv', { change: 'conflict' })];
    const at = await show({
      'POST /folders/look': folder({
        to_bring: [],
        to_bring_count: 0,
        conflicts
      }),
      'POST /folders/pull': {
        id: 'j',
        state: 'done',
        task_id: '',
        result: RESULT
      }
    });
    expect(at.textContent).toContain('1 file was changed on both sides.');
    expect(button(at, 'Pull').disabled).toBe(true);
    act(() => at.querySelector<HTMLInputElement>('input')!.click());
    act(() => button(at, 'Pull').click());
    await act(() => settle());
    expect(bench.bodies).toContainEqual(
      expect.objectContaining({ replace: true, notebook: 'proj/a.ipynb' })
    );
  });

  it('says why it could not be looked at', async () => {
    const at = await show({
      'POST /folders/look': new Refusal(409, 'conflict', 'In your home folder')
    });
    expect(at.textContent).toContain('In your home folder');
    expect(button(at, 'Close')).toBeTruthy();
  });

  it('shows names of a host on one line', async () => {
    const name = 'a\u202etxt.exe\nb';
    const at = await show({
      'POST /folders/look': folder({ to_bring: [file(name)] })
    });
    expect(at.querySelector('code')!.textContent).toBe('a\ufffdtxt.exe\ufffdb');
  });
});
