import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { LabelsModel } from '../model';

const trans = nullTranslator.load('genops_lab');
const told = () => new Promise(resolve => setTimeout(resolve, 0));

/** A Lab with the queues "first" and "second" of three answers. Each answer and each save waits for the test. */
async function opened() {
  const waiting = new Map<string, (fails?: boolean) => void>();
  const asked: string[] = [];
  const wait = (key: string, value: unknown) =>
    new Promise((resolve, reject) => {
      asked.push(key);
      waiting.set(key, fails =>
        fails ? reject(new Error('away')) : resolve(value)
      );
    });
  const items = ['a', 'b', 'c'].map(trace_id => ({ trace_id, label: '' }));
  type Given = { params: { path: { id: string; trace: string } } };
  const http = {
    GET: (path: string, { params }: Given) =>
      path.endsWith('{trace}')
        ? wait(`read ${params.path.trace}`, { answer: params.path.trace })
        : Promise.resolve({
            queue: {
              id: params.path?.id,
              name: params.path?.id,
              question: { name: 'correct', choices: ['wrong', 'right'] }
            },
            items,
            rater: ''
          }),
    PUT: (_: string, { params }: Given) =>
      wait(`save ${params.path.trace}`, undefined)
  };
  const changed = new Signal<object, void>({});
  const resync = new Signal<object, void>({});
  const core = {
    api: { http, data: (answer: unknown) => answer },
    events: { changed: () => changed, resync },
    trans
  };
  const model = new LabelsModel(core as never, null as never, null);
  await model.choose('first');
  return {
    model,
    asked,
    resync,
    answer: async (key: string, fails?: boolean) => {
      await told();
      waiting.get(key)!(fails);
      await told();
    }
  };
}

it('labels no answer that nobody has seen yet', async () => {
  const { model, answer } = await opened();
  model.label('right');
  expect([model.labelled, model.current]).toEqual([0, 'a']);
  await answer('read a');
  model.label('right');
  model.label('right');
  expect([model.labelled, model.current]).toEqual([1, 'b']);
});

it('reads an answer again after a reconnection, and keeps all labels', async () => {
  const { model, asked, resync, answer } = await opened();
  await answer('read a');
  model.label('right');
  await answer('save a');
  await answer('read b', true);
  expect(model.error?.message).toBe('away');
  expect([model.labelled, model.current]).toEqual([1, 'b']);
  resync.emit();
  expect(asked.filter(each => each === 'read b')).toHaveLength(2);
  await answer('read b');
  expect(model.error).toBeUndefined();
  expect(model.content).toEqual({ answer: 'b' });
});

it('tells a label that was lost after its queue was left', async () => {
  const { model, answer } = await opened();
  await answer('read a');
  model.label('right');
  model.leave();
  await answer('save a', true);
  expect(model.error?.message).toBe('A label of “first” was not saved: away');
  expect(model.error?.hint).toContain('Open the queue');
});

it('tells it in the queue that is opened meanwhile', async () => {
  const { model, answer } = await opened();
  await answer('read a');
  model.label('right');
  const choosing = model.choose('second');
  await told();
  await answer('save a', true);
  await choosing;
  expect(model.open?.queue.id).toBe('second');
  expect(model.error?.message).toBe('away');
});
