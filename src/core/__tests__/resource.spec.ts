import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../errors';
import { CHANGED_SCHEMA, GenOpsEvents } from '../events';
import { Resource } from '../resource';

const trans = nullTranslator.load('genops_lab');

class Stream {
  signal = new Signal<this, Event.Emission>(this);
  revision = 0;

  tell(kind: string, id = ''): void {
    this.signal.emit({
      schema_id: CHANGED_SCHEMA,
      kind,
      id,
      revision: ++this.revision
    });
  }
}

/** Let timers that are due run, and the promises after them. */
async function pass(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

describe('Resource', () => {
  let stream: Stream;
  let events: GenOpsEvents;
  let resource: Resource<number[]>;
  const fetch = jest.fn<Promise<number[]>, [AbortSignal]>();

  beforeEach(() => {
    jest.useFakeTimers();
    stream = new Stream();
    events = new GenOpsEvents({ stream: stream.signal });
    fetch.mockReset().mockResolvedValue([1]);
    resource = new Resource({ fetch, trans, events, kinds: ['run'] });
  });

  afterEach(() => {
    resource.dispose();
    events.dispose();
    jest.useRealTimers();
  });

  it('fetches nothing until a person can see it', async () => {
    stream.tell('run');
    await pass(60000);
    expect(fetch).not.toHaveBeenCalled();
    expect(resource.state).toBe('loading');
    resource.visible = true;
    await pass(0);
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(resource.state).toBe('ready');
    expect(resource.value).toEqual([1]);
  });

  it('makes one fetch of a burst, and none for another kind', async () => {
    resource.visible = true;
    await pass(0);
    for (let index = 0; index < 20; index++) {
      stream.tell('run', String(index));
    }
    stream.tell('model');
    await pass(1000);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('fetches once more when something changes during a fetch', async () => {
    resource.visible = true;
    await pass(0);
    let answer: (value: number[]) => void = () => undefined;
    fetch.mockImplementationOnce(
      () => new Promise(resolve => (answer = resolve))
    );
    stream.tell('run');
    await pass(100);
    stream.tell('run');
    stream.tell('run');
    answer([2]);
    await pass(1000);
    expect(fetch).toHaveBeenCalledTimes(3);
    expect(resource.value).toEqual([1]);
  });

  it('tells empty from ready', async () => {
    fetch.mockResolvedValue([]);
    resource.visible = true;
    await pass(0);
    expect(resource.state).toBe('empty');
  });

  it('says that it is down, keeps the value, and comes back by itself', async () => {
    resource.visible = true;
    await pass(0);
    fetch.mockRejectedValue(
      new ApiError({
        status: 503,
        code: 'unavailable',
        message: 'MLflow is away'
      })
    );
    stream.tell('run');
    await pass(100);
    expect(resource.state).toBe('down');
    expect(resource.error?.message).toBe('MLflow is away');
    expect(resource.value).toEqual([1]);
    await pass(2000 + 4000 + 8000 + 15000);
    expect(fetch).toHaveBeenCalledTimes(2 + 4);
    fetch.mockResolvedValue([3]);
    await pass(15000);
    expect(resource.state).toBe('ready');
    expect(resource.error).toBeUndefined();
  });

  it('rests while hidden and down, and tries at once when seen again', async () => {
    fetch.mockRejectedValue(new Error('no'));
    resource.visible = true;
    await pass(0);
    resource.visible = false;
    await pass(120000);
    expect(fetch).toHaveBeenCalledTimes(1);
    resource.visible = true;
    await pass(0);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('does not repeat a call that cannot succeed', async () => {
    fetch.mockRejectedValue(
      new ApiError({ status: 404, code: 'not_found', message: 'gone' })
    );
    resource.visible = true;
    await pass(60000);
    expect(fetch).toHaveBeenCalledTimes(1);
    stream.tell('run');
    await pass(1000);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('fetches again when events may have been missed', async () => {
    resource.visible = true;
    await pass(0);
    events.refresh();
    await pass(100);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('ends what is under way when disposed', async () => {
    let signal: AbortSignal | undefined;
    fetch.mockImplementation(given => {
      signal = given;
      return new Promise(() => undefined);
    });
    resource.visible = true;
    await pass(0);
    resource.dispose();
    expect(signal?.aborted).toBe(true);
    stream.tell('run');
    await pass(1000);
    expect(fetch).toHaveBeenCalledTimes(1);
  });
});

describe('GenOpsEvents', () => {
  it('passes each kind on, and nothing that is not ours', () => {
    const stream = new Stream();
    const events = new GenOpsEvents({ stream: stream.signal });
    const heard: string[] = [];
    events.changed('model').connect((_, c) => heard.push(c.id));
    stream.tell('model', 'digits');
    stream.tell('run', 'r');
    stream.tell('nonsense', 'x');
    stream.signal.emit({ schema_id: 'other', kind: 'model', id: 'y' });
    stream.signal.emit({ schema_id: CHANGED_SCHEMA, kind: 'model' });
    expect(heard).toEqual(['digits']);
  });

  it('drops a change that came both ways, and all while paused', () => {
    const stream = new Stream();
    const events = new GenOpsEvents({ stream: stream.signal });
    let count = 0;
    events.changed('run').connect(() => count++);
    stream.tell('run', 'a');
    events.receive({ kind: 'run', id: 'a', revision: 1 });
    expect(count).toBe(1);
    events.paused = true;
    stream.tell('run', 'a');
    expect(count).toBe(1);
  });

  it('asks to fetch again after an interruption', () => {
    const owner = {};
    const lost = new Signal<object, void>(owner);
    const events = new GenOpsEvents({
      stream: new Stream().signal,
      interruptions: [lost]
    });
    let count = 0;
    events.resync.connect(() => count++);
    lost.emit();
    expect(count).toBe(1);
    events.dispose();
    lost.emit();
    expect(count).toBe(1);
  });
});
