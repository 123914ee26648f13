import { Dialog } from '@jupyterlab/apputils';
import { act } from '@testing-library/react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { QuestionsModel } from '../questions';
import type { IQuestion } from '../service';
import { TargetsService } from '../service';
import { QuestionDialogs } from '../view/question-dialog';

function question(part: Partial<IQuestion> = {}): IQuestion {
  return {
    id: 'q1',
    target: 'gpu-box',
    kind: 'password',
    text: "ada@gpu-box's password:",
    echo: false,
    fingerprint: '',
    key_type: '',
    asked_at: 100,
    expires_at: 280,
    ...part
  };
}

const KEY = question({
  id: 'key',
  kind: 'host_key',
  text: '',
  fingerprint: 'SHA256:abc',
  key_type: 'ssh-ed25519'
});

describe('questions', () => {
  let bench: Bench;
  let model: QuestionsModel;
  let dialogs: QuestionDialogs;
  let waiting: IQuestion[];

  beforeEach(() => {
    waiting = [];
    bench = new Bench({
      'GET /questions': () => [...waiting],
      'POST /questions/q1': null,
      'POST /questions/key': null
    });
    model = new QuestionsModel(bench.core, new TargetsService(bench.core.api));
    dialogs = new QuestionDialogs(model, trans);
  });

  afterEach(() => {
    act(() => dialogs.dispose());
    model.dispose();
    bench.dispose();
    Dialog.flush();
  });

  async function ask(...questions: IQuestion[]): Promise<void> {
    waiting = questions;
    bench.change('question');
    await act(() => settle());
  }

  const dialog = () => document.querySelector<HTMLElement>('.jp-Dialog');
  const press = async (label: string) => {
    const button = Array.from(dialog()!.querySelectorAll('button')).find(
      each => each.textContent === label
    );
    act(() => button!.click());
    await act(() => settle());
  };

  it('open a dialog when they come, and send what is typed once', async () => {
    await ask(question());
    const input = dialog()!.querySelector('input')!;
    expect(input.type).toBe('password');
    expect(input.autocomplete).toBe('off');
    expect(document.activeElement).toBe(input);
    input.value = 'open sesame';
    await press('Answer');
    expect(bench.count('POST /questions/q1')).toBe(1);
    expect(bench.bodies).toContainEqual({ text: 'open sesame' });
    expect(dialog()).toBeNull();
    expect(input.value).toBe('');
  });

  it('take nothing more while the answer is on its way', async () => {
    await ask(question());
    const input = dialog()!.querySelector('input')!;
    expect(input.readOnly).toBe(false);
    input.value = 'pass';
    act(() => dialog()!.querySelector('form')!.requestSubmit());
    expect(input.readOnly).toBe(true);
    await act(() => settle());
    expect(dialog()).toBeNull();
  });

  it('show a fingerprint, and refuse by default', async () => {
    await ask(KEY);
    expect(dialog()!.querySelector('code')!.textContent).toBe('SHA256:abc');
    expect(document.activeElement?.textContent).toBe('Do not connect');
    await press('Do not connect');
    expect(bench.bodies).toContainEqual({ text: null });
    await ask({ ...KEY, id: 'q1' });
    await press('Trust this key');
    expect(bench.bodies).toContainEqual({ text: 'yes' });
  });

  it.each([
    ['folder_size', 'Start without files', 'Send'],
    ['folder_pull', 'Refuse', 'Pull files'],
    ['evaluation', 'Refuse', 'Evaluate']
  ] as const)('ask for a decision: %s', async (kind, refuse, accept) => {
    const text = 'A kernel asks:\n  2.0 KiB  model.pt';
    await ask(question({ kind, text }));
    expect(dialog()!.querySelector('pre')!.textContent).toBe(text);
    expect(dialog()!.querySelector('input')).toBeNull();
    expect(document.activeElement?.textContent).toBe(refuse);
    await press(refuse);
    expect(bench.bodies).toContainEqual({ text: null });
    await ask(question({ kind, text, id: 'key' }));
    await press(accept);
    expect(bench.bodies).toContainEqual({ text: 'yes' });
  });

  it('come one after the other', async () => {
    await ask(question(), KEY);
    expect(dialog()!.textContent).toContain('1 more question');
    await press('Cancel');
    expect(dialog()!.textContent).toContain('SHA256:abc');
    expect(document.querySelectorAll('.jp-Dialog')).toHaveLength(1);
  });

  it('close when they were answered or withdrawn elsewhere', async () => {
    await ask(question());
    expect(dialog()).not.toBeNull();
    await ask();
    expect(dialog()).toBeNull();
    expect(bench.calls.some(call => call.startsWith('POST'))).toBe(false);
  });

  it('go when nobody waits for the answer any more', async () => {
    bench.answers['POST /questions/q1'] = new Refusal(404, 'not_found', 'Gone');
    await ask(question());
    await press('Answer');
    expect(dialog()).toBeNull();
  });

  it('stay where the answer could not be sent', async () => {
    bench.answers['POST /questions/q1'] = new Refusal(
      503,
      'unavailable',
      'Away'
    );
    await ask(question());
    await press('Answer');
    expect(dialog()!.textContent).toContain('Away');
    bench.answers['POST /questions/q1'] = null;
    await press('Answer');
    expect(dialog()).toBeNull();
  });

  it('are refused by Escape', async () => {
    await ask(question());
    act(() => {
      dialog()!
        .querySelector('input')!
        .dispatchEvent(
          new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })
        );
    });
    await act(() => settle());
    expect(bench.bodies).toContainEqual({ text: null });
    expect(dialog()).toBeNull();
  });

  it('leave the showing to an open dialog of ours', async () => {
    const hosted = model.host();
    await ask(question());
    expect(dialog()).toBeNull();
    expect(model.current?.id).toBe('q1');
    act(() => hosted.dispose());
    await act(() => settle());
    expect(dialog()).not.toBeNull();
  });
});
