import { act, render } from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { TargetsModel } from '../model';
import { QuestionsModel } from '../questions';
import type { IStoredItem } from '../service';
import { TargetStorage } from '../storage';
import { StorageView } from '../view/storage-dialog';

import { GIB, target } from './support';

function item(part: Partial<IStoredItem> = {}): IStoredItem {
  return {
    kind: 'environment',
    name: 'work-1',
    path: '/home/ada/envs/work-1',
    host_id: '',
    here: '',
    size_bytes: 2 * GIB,
    unused_s: 20 * 86400,
    stays: '',
    forcible: false,
    ...part
  };
}

const USED = item({
  path: '/home/ada/envs/used',
  size_bytes: GIB,
  stays: 'the kernel k1 uses it'
});
const LIST = 'GET /targets/gpu-box/storage';
const REMOVE = 'POST /targets/gpu-box/storage/remove';

describe('what lies on a target', () => {
  let bench: Bench;
  let model: TargetsModel;
  let questions: QuestionsModel;
  let storage: TargetStorage;

  async function show(answers: Record<string, unknown>): Promise<HTMLElement> {
    bench = new Bench(answers);
    model = new TargetsModel(bench.core);
    questions = new QuestionsModel(bench.core, model.service);
    storage = new TargetStorage(model, trans, 'gpu-box');
    const view = () => (
      <StorageView
        storage={storage}
        questions={questions}
        trans={trans}
        onClose={jest.fn()}
      />
    );
    const { container, rerender } = render(view());
    storage.changed.connect(() => act(() => rerender(view())));
    questions.changed.connect(() => act(() => rerender(view())));
    await act(() => settle());
    return container;
  }

  afterEach(() => {
    storage.dispose();
    questions.dispose();
    model.dispose();
    bench.dispose();
  });

  const boxes = (at: HTMLElement) =>
    Array.from(at.querySelectorAll<HTMLInputElement>('input'));
  const remove = (at: HTMLElement) =>
    at.querySelector<HTMLButtonElement>('.jp-mod-warn')!;

  it('ticks nothing by itself, and nothing that is used', async () => {
    const at = await show({
      [LIST]: { target: 'gpu-box', items: [item(), USED] }
    });
    expect(boxes(at).map(({ checked }) => checked)).toEqual([false, false]);
    expect(boxes(at).map(({ disabled }) => disabled)).toEqual([false, true]);
    expect(at.textContent).toContain('the kernel k1 uses it');
    expect(at.textContent).toContain('20 d ago');
    expect(remove(at).disabled).toBe(true);
    act(() => boxes(at)[0].click());
    expect(remove(at).textContent).toBe('Remove 1 (2.0 GiB)');
  });

  it('removes what was ticked to its last file, and says what was freed', async () => {
    const at = await show({
      [LIST]: { target: 'gpu-box', items: [item(), USED] },
      [REMOVE]: { target: 'gpu-box', item: item(), left: true, trouble: '' },
      'POST /targets/gpu-box/storage/sweep': {
        target: 'gpu-box',
        left: false,
        trouble: 'a file is held'
      }
    });
    act(() => boxes(at)[0].click());
    act(() => remove(at).click());
    await act(() => settle());
    expect(bench.bodies).toContainEqual({
      path: item().path,
      host_id: '',
      older_than_days: 0,
      force: false
    });
    expect(bench.count(LIST)).toBe(2);
    expect(at.textContent).toContain('2.0 GiB freed.');
    expect(at.textContent).toContain('a file is held');
  });

  it('asks once more, in its place, where something may be nowhere else', async () => {
    const only = item({ stays: 'another Lab sent it', forcible: true });
    const at = await show({
      [LIST]: { target: 'gpu-box', items: [only, item({ path: '/b' })] },
      [REMOVE]: { target: 'gpu-box', item: only, left: false, trouble: '' }
    });
    act(() => boxes(at)[0].click());
    act(() => remove(at).click());
    await act(() => settle());
    expect(bench.count(REMOVE)).toBe(0);
    expect(at.querySelector('[role=alert]')!.textContent).toContain(
      '/home/ada/envs/work-1: another Lab sent it'
    );
    act(() => boxes(at)[1].click());
    act(() => remove(at).click());
    await act(() => settle());
    expect(bench.bodies).toContainEqual({
      path: only.path,
      host_id: '',
      older_than_days: 0,
      force: true
    });
    expect(bench.bodies).toContainEqual({
      path: '/b',
      host_id: '',
      older_than_days: 0,
      force: false
    });
  });

  it('names what somebody began to use meanwhile', async () => {
    const at = await show({
      [LIST]: { target: 'gpu-box', items: [item()] },
      [REMOVE]: new Refusal(409, 'stays', 'It is not removed: used.')
    });
    act(() => boxes(at)[0].click());
    act(() => remove(at).click());
    await act(() => settle());
    expect(at.textContent).toContain('No space was freed.');
    expect(at.textContent).toContain('It is not removed: used.');
  });

  it('says why it cannot look', async () => {
    const at = await show({
      [LIST]: new Refusal(409, 'conflict', 'gpu-box is not connected.')
    });
    expect(at.textContent).toContain('gpu-box is not connected.');
    expect(at.querySelector('.jp-mod-warn')).toBeNull();
    bench.answers[LIST] = { target: 'gpu-box', items: [item()] };
    act(() => at.querySelector<HTMLElement>('.jp-mod-accept')!.click());
    await act(() => settle());
    expect(at.textContent).not.toContain('gpu-box is not connected.');
    expect(boxes(at)).toHaveLength(1);
  });

  it('connects from here, asks within the dialog, then looks', async () => {
    const away = new Refusal(
      409,
      'not_connected',
      'gpu-box is not connected.',
      'Connect it first: genops targets connect gpu-box'
    );
    const at = await show({ [LIST]: away });
    const accept = () => at.querySelector<HTMLElement>('.jp-mod-accept')!;
    expect(at.textContent).toContain('gpu-box is not connected.');
    expect(at.textContent).not.toContain('genops targets');
    expect(at.textContent).toContain('Refresh');
    expect(accept().textContent).toBe('Connect');

    const failed = target({ state: 'failed', message: 'No.', hint: 'Ask.' });
    bench.answers['POST /targets/gpu-box/connect'] = failed;
    bench.answers['GET /targets'] = [failed];
    act(() => accept().click());
    await act(() => settle());
    expect(at.textContent).toContain('No.Ask.');
    expect(accept().textContent).toBe('Connect');

    bench.answers['POST /targets/gpu-box/connect'] = target({
      state: 'asking'
    });
    bench.answers['GET /targets/gpu-box'] = target({ state: 'asking' });
    bench.answers['GET /questions'] = [
      {
        id: 'q1',
        target: 'gpu-box',
        kind: 'password',
        text: 'Password:',
        echo: false,
        fingerprint: '',
        key_type: '',
        asked_at: 1,
        expires_at: 2
      }
    ];
    act(() => accept().click());
    expect(at.textContent).toContain('Connecting to gpu-box…');
    bench.change('question');
    await act(() => settle());
    expect(at.querySelector('input[type=password]')).not.toBeNull();
    bench.answers['GET /questions'] = [];
    bench.answers['GET /targets'] = [target()];
    bench.answers['GET /targets/gpu-box'] = target();
    bench.answers[LIST] = { target: 'gpu-box', items: [item()] };
    bench.change('question');
    bench.change('target', 'gpu-box');
    await act(() => settle(300));
    expect(boxes(at)).toHaveLength(1);
  });

  it('has a word for a host without anything of ours', async () => {
    const at = await show({ [LIST]: { target: 'gpu-box', items: [] } });
    expect(at.textContent).toContain('has no files on this host');
  });
});
